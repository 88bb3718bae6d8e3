/** Milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number;

export const DAY_MS = 86_400_000;

/** Where time comes from. Injected, so that tests can jump an hour or sleep for a day. */
export interface Clock {
  now(): EpochMs;
  /** Milliseconds that have passed since some instant. Nobody can set it; it stands while the machine sleeps. */
  elapsed(): number;
}

export const systemClock: Clock = { now: () => Date.now(), elapsed: () => performance.now() };

let lastMs = Number.NaN;
let lastText = "";

/** RFC 3339 in UTC with milliseconds. The last text is kept: the items of one batch share their instant. */
export function toRfc3339(at: EpochMs): string {
  if (at !== lastMs) {
    lastText = new Date(at).toISOString();
    lastMs = at;
  }
  return lastText;
}

/** {@link toRfc3339} for columns that may be empty. */
export function toRfc3339OrNull(at: EpochMs | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

// RFC 3339 section 5.6: date-time with a mandatory offset; the separator may be a space by its note.
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * Reads an RFC 3339 date-time with offset, down to the millisecond; a leap second counts as the second after.
 * @returns undefined when the text is not one, the 30th of February included.
 */
export function parseRfc3339(text: string): EpochMs | undefined {
  const match = RFC3339.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHours, offsetMinutes] = match;
  const at = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), 0);
  const date = new Date(at);
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  if (Number(offsetHours ?? 0) > 23 || Number(offsetMinutes ?? 0) > 59) return undefined;
  // Date.UTC reads the years 0 to 99 as 1900 to 1999; no event is that old.
  if (Number(year) < 100) return undefined;
  const offsetMs = (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0)) * 60_000 * (sign === "-" ? -1 : 1);
  const milliseconds = Number((fraction ?? "").padEnd(3, "0").slice(0, 3));
  return at + Number(second) * 1000 + milliseconds - offsetMs;
}
