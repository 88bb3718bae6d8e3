import { signal } from "@preact/signals";
import { errorInfo, offerOf } from "./errors.ts";
import type { Action } from "./types.ts";

/** A short message over the page. */
export interface ToastEntry {
  readonly id: number;
  readonly tone: "ok" | "bad" | "info";
  readonly text: string;
  /** The code and request id of an error. */
  readonly detail?: string | undefined;
  readonly action?: { readonly label: string; readonly run?: Action; readonly href?: string } | undefined;
  readonly shownForMs: number;
}

export interface ToastOptions {
  /** Shows "Undo". */
  readonly undo?: Action | undefined;
  readonly href?: string | undefined;
  readonly linkText?: string | undefined;
}

const SHOWN_AT_ONCE = 4;
export const toasts = signal<readonly ToastEntry[]>([]);
let lastId = 0;

function add(entry: Omit<ToastEntry, "id">): void {
  const repeated = toasts.value.find((each) => each.text === entry.text && each.tone === entry.tone);
  const others = toasts.value.filter((each) => each !== repeated);
  toasts.value = [...others, { ...entry, id: ++lastId }].slice(-SHOWN_AT_ONCE);
}

/** @internal */
export function dismissToast(id: number): void {
  toasts.value = toasts.value.filter((each) => each.id !== id);
}

function actionOf({ undo, href, linkText }: ToastOptions): ToastEntry["action"] {
  if (undo !== undefined) return { label: "Undo", run: undo };
  return href === undefined ? undefined : { label: linkText ?? "Show", href };
}

/** Messages about something that just happened; screen readers announce them. */
export const toast = {
  /** Success; with `undo` it is shown longer. */
  ok(text: string, options: ToastOptions = {}): void {
    add({ tone: "ok", text, action: actionOf(options), shownForMs: options.undo === undefined ? 4000 : 8000 });
  },
  info(text: string, options: ToastOptions = {}): void {
    add({ tone: "info", text, action: actionOf(options), shownForMs: 6000 });
  },
  /** A failed action: message, code and request id. */
  error(error: unknown): void {
    const { message, code, requestId, details } = errorInfo(error);
    const detail = [...details.slice(0, 3), [code, requestId].filter(Boolean).join(" · ")].filter(Boolean).join("\n");
    add({ tone: "bad", text: message, detail: detail || undefined, action: offerOf(error), shownForMs: 10_000 });
  },
};
