import { DAY_MS, type EpochMs } from "../../core/clock.ts";

/** Limit of the delay. */
const MAX_WAIT_MS = DAY_MS;

/**
 * Parses Retry-After, seconds or a date, as milliseconds from now (RFC 9110 section 10.2.3), at
 * most a day.
 * @returns undefined for a missing or invalid field.
 */
export function readRetryAfter(field: string | undefined, now: EpochMs): number | undefined {
  const text = field?.trim() ?? "";
  const waitMs = /^\d{1,10}$/.test(text)
    ? Number(text) * 1000
    : /[A-Za-z]/.test(text)
      ? Date.parse(text) - now
      : Number.NaN;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), MAX_WAIT_MS);
}
