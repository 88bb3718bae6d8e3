import type { EpochMs } from "../../../core/time/clock.ts";
import { NtfyError } from "./errors.ts";

const MIN_DELAY_MS = 10_000;
const MAX_DELAY_MS = 3 * 86_400_000;
const MAX_LENGTH = 100;

const GO_UNIT_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};
const GO_DURATION = /^(?:\d+(?:\.\d*)?(?:h|ms|m|s|us|µs|ns))+$/;

/** A duration of Go, such as `1h30m` or `1.5h`. @returns ms; undefined if the text is none */
export function goDuration(text: string): number | undefined {
  if (!GO_DURATION.test(text)) return undefined;
  const parts = text.matchAll(/(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|ns)/g);
  let ms = 0;
  for (const [, count, unit = ""] of parts) ms += Number(count) * (GO_UNIT_MS[unit] ?? 0);
  return ms;
}

const SIMPLE = /^(\d{1,9})\s*(d|days?|h|hours?|m|mins?|minutes?|s|secs?|seconds?)$/i;
const SIMPLE_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 };

/**
 * When a message with this delay is sent: Unix seconds, a duration (`30m`, `1h30m`, `2 days`) or
 * English (`tomorrow, 10am`) in a time zone. @throws NtfyError 40004, 40005, 40006
 */
export async function dueAtOf(text: string, now: EpochMs, timezone: string): Promise<EpochMs> {
  const at = await instantOf(text.trim().slice(0, MAX_LENGTH), now, timezone);
  if (at === undefined) throw new NtfyError(40004);
  // Whole seconds, as clients send and show them.
  const second = Math.floor(at / 1000) * 1000;
  if (second < Math.floor(now / 1000) * 1000 + MIN_DELAY_MS) throw new NtfyError(40005);
  if (second > now + MAX_DELAY_MS) throw new NtfyError(40006);
  return second;
}

async function instantOf(text: string, now: EpochMs, timezone: string): Promise<EpochMs | undefined> {
  if (/^\d{1,15}$/.test(text)) return Number(text) * 1000;
  const duration = goDuration(text);
  if (duration !== undefined) return now + duration;
  const [, count, unit = ""] = SIMPLE.exec(text) ?? [];
  if (count !== undefined) return now + Number(count) * (SIMPLE_MS[unit.charAt(0).toLowerCase()] ?? 0);
  return naturalInstant(text, now, timezone);
}

/** English, by a library that is loaded on first use. A past instant means tomorrow's. */
async function naturalInstant(text: string, now: EpochMs, timezone: string): Promise<EpochMs | undefined> {
  const { casual } = await import("chrono-node/en");
  const parse = (given: string): EpochMs | undefined => {
    const reference = { instant: new Date(now), timezone: offsetMinutes(timezone, now) };
    const [found] = casual.parse(given, reference, { forwardDate: true });
    // The library skips what it does not understand.
    const rest = found && given.replace(found.text, "").replace(/[\s,.]|\b(?:at|on|the)\b/gi, "");
    return rest === "" ? found?.date().getTime() : undefined;
  };
  const at = parse(text);
  return at !== undefined && at < now ? (parse(`tomorrow, ${text}`) ?? at) : at;
}

/** The zone's offset from UTC in minutes, such as 120. */
function offsetMinutes(timezone: string, at: EpochMs): number {
  const name = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset" })
    .formatToParts(at)
    .find(({ type }) => type === "timeZoneName")?.value;
  const [, sign, hours, minutes = "0"] = /GMT([+-])(\d+)(?::(\d+))?/.exec(name ?? "") ?? [];
  if (sign === undefined) return 0;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}
