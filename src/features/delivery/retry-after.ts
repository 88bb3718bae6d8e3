import { DAY_MS, type EpochMs } from "../../core/clock.ts";

/** Longer waits are cut to this. */
const MAX_WAIT_MS = DAY_MS;

/**
 * How long a server asks to wait, in milliseconds from now (RFC 9110 section 10.2.3): seconds or a
 * date, a day at most.
 * @returns undefined where the field is missing or is neither.
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
