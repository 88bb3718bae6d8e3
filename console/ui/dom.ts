/** Class names joined; false and undefined are skipped. */
export function cx(...names: (string | false | undefined | null)[]): string {
  return names.filter(Boolean).join(" ");
}

/** Whether keys belong to a text field or a select. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");
}

/** Whether a click on a row meant something inside it, or ended a text selection. */
export function isForInnerControl(event: MouseEvent): boolean {
  if (!(event.target instanceof Element)) return true;
  const inner = event.target.closest("a, button, input, label, select, summary, [role=menu]");
  return inner !== null || (window.getSelection()?.toString() ?? "") !== "";
}

/** Writes text to the clipboard; false if the browser refuses (no secure context, no permission). */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyWithSelection(text);
  }
}

/** Plain HTTP has no Clipboard API: the old command still copies a selected field. */
function copyWithSelection(text: string): boolean {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "sr-only";
  const host = document.querySelector("dialog:modal") ?? document.body;
  host.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } finally {
    field.remove();
  }
}

interface Placement {
  readonly align?: "start" | "end" | "center";
  /** Where it goes if there is room on both sides. */
  readonly side?: "above" | "below";
  readonly matchWidth?: boolean;
  readonly gap?: number;
}

/**
 * Puts a popover next to its anchor, on the other side if there is more room; never outside the
 * window. Sets `data-placed`, which makes it visible.
 */
export function placeNextTo(popover: HTMLElement, anchor: Element, placement: Placement = {}): void {
  const { align = "start", side = "below", matchWidth = false, gap = 4 } = placement;
  const at = anchor.getBoundingClientRect();
  if (matchWidth) {
    popover.style.minWidth = `${at.width}px`;
    popover.style.maxWidth = `${Math.max(at.width, 280)}px`;
  }
  const { offsetWidth: width, offsetHeight: height } = popover;
  const room = { above: at.top, below: window.innerHeight - at.bottom };
  const other = side === "above" ? "below" : "above";
  const isAbove = (room[side] < height + gap + 8 && room[other] > room[side] ? other : side) === "above";
  const top = isAbove ? Math.max(8, at.top - height - gap) : at.bottom + gap;
  const wanted = { start: at.left, end: at.right - width, center: at.left + (at.width - width) / 2 }[align];
  popover.style.top = `${Math.round(top)}px`;
  popover.style.left = `${Math.round(Math.max(8, Math.min(wanted, window.innerWidth - width - 8)))}px`;
  popover.dataset["placed"] = "";
}
