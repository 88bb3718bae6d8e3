import { dateFormat, toWallClock } from "../../../ui/clock.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  ...[5, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 28].map((n) => n * DAY),
];

/** A time that the axis names. */
export interface Tick {
  readonly at: number;
  readonly text: string;
}

/** Round times by the wall clock of a zone. @param most so many fit */
export function ticksOf(
  { from, to }: { readonly from: number; readonly to: number },
  most: number,
  zone: string,
): Tick[] {
  const step = STEPS.find((each) => (to - from) / each <= most) ?? 28 * DAY;
  const shift = Date.parse(`${toWallClock(from, zone)}Z`) - Math.floor(from / SECOND) * SECOND;
  const first = Math.ceil((from + shift) / step) * step - shift;
  const count = Math.max(0, Math.floor((to - first) / step) + 1);
  const format = dateFormat(partsOf(step), zone);
  return Array.from({ length: count }, (_, index) => first + index * step).map((at) => ({
    at,
    text: format.format(at),
  }));
}

function partsOf(step: number): Intl.DateTimeFormatOptions {
  if (step >= DAY) return { day: "numeric", month: "short" };
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  return step < MINUTE ? { ...clock, second: "2-digit" } : clock;
}
