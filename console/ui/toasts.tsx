import { CircleAlert, CircleCheck, Info, X } from "lucide";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { IconButton, useAction } from "./button.tsx";
import { Icon } from "./icon.tsx";
import { dismissToast, type ToastEntry, toasts } from "./toast-store.ts";

const ICONS = { ok: CircleCheck, bad: CircleAlert, info: Info };

/** The stack of messages, in the top layer so that a dialog does not cover it. @internal */
export function Toasts() {
  const host = useRef<HTMLDivElement>(null);
  const entries = toasts.value;
  useLayoutEffect(() => {
    const { current } = host;
    if (current === null || entries.length === 0) return;
    if (current.matches(":popover-open")) current.hidePopover();
    current.showPopover(); // again: above a dialog that opened meanwhile
  }, [entries]);
  return (
    <div class="toasts" ref={host} popover="manual" role="region" aria-label="Messages">
      <div role="status" aria-live="polite">
        {entries
          .filter((entry) => entry.tone !== "bad")
          .map((entry) => (
            <Toast entry={entry} key={entry.id} />
          ))}
      </div>
      <div role="alert">
        {entries
          .filter((entry) => entry.tone === "bad")
          .map((entry) => (
            <Toast entry={entry} key={entry.id} />
          ))}
      </div>
    </div>
  );
}

function Toast({ entry }: { readonly entry: ToastEntry }) {
  const [isHeld, setHeld] = useState(false);
  const dismiss = () => dismissToast(entry.id);
  const { busy, run } = useAction(async () => {
    await entry.action?.run?.();
    dismiss();
  });
  useEffect(() => {
    if (isHeld || busy) return;
    const timer = setTimeout(dismiss, entry.shownForMs);
    return () => clearTimeout(timer);
  }, [isHeld, busy]);
  const { action } = entry;
  return (
    <div
      class={`toast ${entry.tone}`}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocusIn={() => setHeld(true)}
      onFocusOut={() => setHeld(false)}
    >
      <Icon node={ICONS[entry.tone]} size={18} />
      <div class="toast-t" dir="auto">
        {entry.text}
        {entry.detail !== undefined && <div class="toast-d">{entry.detail}</div>}
      </div>
      {action?.href !== undefined && (
        <a class="btn small" href={action.href} onClick={dismiss}>
          {action.label}
        </a>
      )}
      {action?.run !== undefined && (
        <button class="btn small" type="button" onClick={run} aria-busy={busy || undefined}>
          {action.label}
        </button>
      )}
      <IconButton small icon={X} label="Dismiss" onClick={dismiss} />
    </div>
  );
}
