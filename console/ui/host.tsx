import { useEffect } from "preact/hooks";
import { Dialogs } from "./dialog.tsx";
import { copyIsoTimes } from "./time.tsx";
import { Tips } from "./tips.tsx";
import { Toasts } from "./toasts.tsx";

/**
 * What the design system shows over the page: toasts, dialogs, tooltips. Mounted once by
 * the shell.
 */
export function UiHost() {
  useEffect(() => {
    document.addEventListener("copy", copyIsoTimes);
    return () => document.removeEventListener("copy", copyIsoTimes);
  }, []);
  return (
    <>
      <Dialogs />
      <Toasts />
      <Tips />
    </>
  );
}
