import "./styles/index.css";
import "./app/shell.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { LocationProvider } from "preact-iso/router";
import { CONSOLE_ROOT } from "./app/base.ts";
import { useNavigation, usePath } from "./app/navigate.ts";
import { preloadPage } from "./app/routes.tsx";
import { me, resumeSession, session } from "./app/session.ts";
import { Shell } from "./app/shell.tsx";
import { startWorker } from "./app/worker.ts";
import { isStartPath, StartPages } from "./pages/start/start-pages.tsx";
import { displayZone } from "./ui/index.ts";

effect(() => {
  displayZone.value = me.value?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
});

function Console() {
  useNavigation();
  const path = usePath();
  if (session.value === "loading") return null;
  return session.value === "signedIn" && !isStartPath(path) ? <Shell /> : <StartPages />;
}

// Relative addresses of the page would change with its path.
for (const link of document.querySelectorAll<HTMLLinkElement>("link[rel=icon], link[rel=manifest]")) {
  link.setAttribute("href", link.href);
}

const root = document.getElementById("app");
if (root) {
  render(
    <LocationProvider scope={CONSOLE_ROOT}>
      <Console />
    </LocationProvider>,
    root,
  );
  void resumeSession();
  if (session.peek() === "loading") preloadPage();
  startWorker();
}
