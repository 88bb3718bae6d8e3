import { useLayoutEffect, useRef } from "preact/hooks";
import { isTyping } from "./dom.ts";
import { toast } from "./toast-store.ts";

interface TableKeys {
  readonly rows: () => readonly HTMLTableRowElement[];
  readonly open: (index: number) => void;
  readonly select: ((index: number, extend: boolean) => void) | undefined;
  readonly hotkey: (key: string, index: number) => unknown;
}

const tables = new Set<{ readonly keys: TableKeys }>();

/** The table that j and k belong to: the one with the focus, or else the first on the page. */
function currentTable(): TableKeys | undefined {
  const shown = [...tables].filter(({ keys }) => keys.rows()[0]?.offsetParent !== null && keys.rows().length > 0);
  const focused = shown.find(({ keys }) => keys.rows().some((row) => row.contains(document.activeElement)));
  return (focused ?? shown[0])?.keys;
}

/** Shows the error of an action that has no button. */
export async function runAction(action: () => unknown): Promise<void> {
  try {
    await action();
  } catch (error) {
    toast.error(error);
  }
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
  if (document.querySelector("dialog:modal, .menu:popover-open") !== null) return;
  const table = currentTable();
  if (table === undefined) return;
  const rows = table.rows();
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  if (event.key === "j" || event.key === "k") {
    event.preventDefault();
    rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))]?.focus();
    return;
  }
  if (at < 0) return;
  const onRow = rows[at] === document.activeElement;
  if (event.key === "Enter" && onRow) table.open(at);
  else if (event.key === "x" || (event.key === " " && onRow && table.select)) {
    event.preventDefault();
    table.select?.(at, event.shiftKey);
  } else void runAction(() => table.hotkey(event.key, at));
}

/** Registers a table for j, k, Enter, x and its own letters while it is mounted. */
export function useTableKeys(keys: TableKeys): void {
  const entry = useRef({ keys });
  entry.current.keys = keys;
  useLayoutEffect(() => {
    const { current } = entry;
    // On the window, after the keys of the application: "g" and a letter is not for the list.
    if (tables.size === 0) window.addEventListener("keydown", onKeyDown);
    tables.add(current);
    return () => {
      tables.delete(current);
      if (tables.size === 0) window.removeEventListener("keydown", onKeyDown);
    };
  }, []);
}
