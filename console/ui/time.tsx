import { useComputed } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import {
  displayZone,
  formatInstant,
  formatLeft,
  formatRelative,
  type Instant,
  now,
  type TimeMode,
  toMs,
} from "./clock.ts";
import { formatBytes, formatDuration, formatNumber, formatPercent } from "./format.ts";

export interface TimeProps {
  readonly at: Instant | null | undefined;
  readonly mode?: TimeMode | undefined;
  /** Text without a time. */
  readonly empty?: string | undefined;
}

/**
 * A time: relative by default; the exact one in the user's zone on hover and focus, ISO when
 * copied.
 */
export function Time({ at, mode = "relative", empty = "—" }: TimeProps) {
  const ms = at === null || at === undefined ? Number.NaN : toMs(at);
  if (Number.isNaN(ms)) return <span class="faint">{empty}</span>;
  return <KnownTime ms={ms} mode={mode} />;
}

/** Whether a list is around: its rows show the exact time on focus, so times are no tab stops. */
export const InList = createContext(false);

function KnownTime({ ms, mode }: { readonly ms: number; readonly mode: TimeMode }) {
  const isTabStop = !useContext(InList) && mode !== "full";
  const text = mode === "relative" ? <RelativeText ms={ms} /> : formatInstant(ms, mode, displayZone.value);
  return (
    <time
      class={mode === "full" ? "time full" : "time"}
      tabIndex={isTabStop ? 0 : undefined}
      dateTime={new Date(ms).toISOString()}
      data-tip={mode === "full" ? undefined : formatInstant(ms, "full", displayZone.value)}
    >
      {text}
    </time>
  );
}

/** Only the text changes each second, and only when it reads differently. */
function RelativeText({ ms }: { readonly ms: number }) {
  const text = useComputed(() => formatRelative(ms, now.value));
  return <>{text}</>;
}

/** What is left until a time: "2 h 5 min left". */
export function Left({ at }: { readonly at: Instant }) {
  const text = useComputed(() => formatLeft(at, now.value));
  return <>{text}</>;
}

/** In a copied selection, times are RFC 3339: logs compare. @internal */
export function copyIsoTimes(event: ClipboardEvent): void {
  const selection = window.getSelection();
  if (selection === null || selection.rangeCount === 0 || event.clipboardData === null) return;
  if (event.target instanceof Element && event.target.matches("input, textarea")) return;
  const range = selection.getRangeAt(0);
  const inside = range.commonAncestorContainer;
  const around = inside instanceof Element ? inside : inside.parentElement;
  const own = around?.closest("time");
  const times = own
    ? [own]
    : [...(around?.querySelectorAll("time") ?? [])].filter((time) => range.intersectsNode(time));
  if (times.length === 0) return;
  event.clipboardData.setData("text/plain", own ? own.dateTime : withIso(selection.toString(), times));
  event.preventDefault();
}

function withIso(text: string, times: readonly HTMLTimeElement[]): string {
  let from = 0;
  let result = text;
  for (const time of times) {
    const shown = time.textContent ?? "";
    const at = shown === "" ? -1 : result.indexOf(shown, from);
    if (at < 0) continue;
    result = result.slice(0, at) + time.dateTime + result.slice(at + shown.length);
    from = at + time.dateTime.length;
  }
  return result;
}

/** A span of time with its unit. */
export function Duration({ ms }: { readonly ms: number | null | undefined }) {
  return <span class="num nowrap">{ms === null || ms === undefined ? "—" : formatDuration(ms)}</span>;
}

/** A size with its unit; exact in its title. */
export function Bytes({ n }: { readonly n: number | null | undefined }) {
  if (n === null || n === undefined) return <span class="faint">—</span>;
  return (
    <span class="num nowrap" title={`${formatNumber(n)} bytes`}>
      {formatBytes(n)}
    </span>
  );
}

/** A number with grouped digits in tabular figures. */
export function Num({ n, digits }: { readonly n: number | null | undefined; readonly digits?: number | undefined }) {
  return <span class="num nowrap">{n === null || n === undefined ? "—" : formatNumber(n, digits)}</span>;
}

/** A fraction as a percentage. */
export function Percent({ n }: { readonly n: number | null | undefined }) {
  return <span class="num nowrap">{n === null || n === undefined ? "—" : formatPercent(n)}</span>;
}
