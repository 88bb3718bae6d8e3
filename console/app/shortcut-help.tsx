import { Dialog, KeyHint } from "../ui/index.ts";
import { visibleNav } from "./navigation.tsx";

const KEYS = [
  ["Ctrl K", "Search pages, rules, people and ids"],
  ["/", "Search this page"],
  ["j", "Next entry of the list"],
  ["k", "Previous entry of the list"],
  ["Enter", "Open the entry"],
  ["x", "Select the entry"],
  ["a", "Acknowledge"],
  ["e", "Explain"],
  ["?", "Show these keys"],
] as const;

/** The keys of the console, opened by `?`. */
export function ShortcutHelp() {
  const pages = visibleNav().flatMap(({ label, shortcut }) => (shortcut ? [[`g ${shortcut}`, label] as const] : []));
  return (
    <Dialog title="Keyboard" size="sm">
      <dl class="keys" tabIndex={0}>
        {[...KEYS, ...pages].map(([keys, text]) => (
          <div key={keys}>
            <dt>
              <KeyHint keys={keys} />
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
