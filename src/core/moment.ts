import type { DateTime } from "luxon";
import { type EpochMs, parseRfc3339 } from "./clock.ts";
import { PrismError } from "./errors.ts";

/** A moment: an RFC 3339 date-time (UTC where it says no offset), a Date, or Luxon's own. */
export type Moment = string | Date | DateTime;

/** {@link parseRfc3339}, where a text without offset is UTC. */
export function parseMoment(text: string): EpochMs | undefined {
  return parseRfc3339(text) ?? parseRfc3339(`${text}Z`);
}

/** @throws VALIDATION_FAILED for what is no moment. */
export function epochOf(at: Moment | EpochMs): EpochMs {
  const epochMs = typeof at === "string" ? parseMoment(at) : at.valueOf();
  if (epochMs === undefined || !Number.isFinite(epochMs))
    throw new PrismError("VALIDATION_FAILED", "A time must be an RFC 3339 date-time or a valid date");
  return epochMs;
}
