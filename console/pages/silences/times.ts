import type { Silence } from "../../../src/client/api-types.gen.ts";
import { me } from "../../app/session.ts";
import { displayZone } from "../../ui/index.ts";
import { HOUR, MINUTE, type SilenceRecurrence, tomorrowAtNine } from "./silence-types.ts";

/** The times of the form. */
export interface Times {
  readonly isRecurring: boolean;
  /** A key of {@link LENGTHS}, `morning`, or `custom`: {@link endsAt}. */
  readonly length: string;
  /** "": now. */
  readonly startsAt: string;
  readonly endsAt: string;
  readonly recurrence: SilenceRecurrence;
}

const LENGTHS: Readonly<Record<string, number>> = {
  "30m": 30 * MINUTE,
  "1h": HOUR,
  "2h": 2 * HOUR,
  "4h": 4 * HOUR,
  "8h": 8 * HOUR,
};
/** A length of days, such as `30d`. */
const DAYS = /^([1-9]\d{0,2})d$/;
export const CHOICES = [
  { value: "30m", label: "30 min" },
  { value: "1h", label: "1 h" },
  { value: "2h", label: "2 h" },
  { value: "4h", label: "4 h" },
  { value: "8h", label: "8 h" },
  { value: "morning", label: "Tomorrow 9:00" },
  { value: "custom", label: "Other" },
];
/** @param length a choice from the address, such as `1h`, or days, such as `30d` */
export function timesOf(silence?: Silence, length = ""): Times {
  const days = Number(DAYS.exec(length)?.[1] ?? 0);
  const zone = me.value?.timezone ?? displayZone.value;
  return {
    isRecurring: silence?.recurrence != null,
    length: silence || days > 0 ? "custom" : CHOICES.some(({ value }) => value === length) ? length : "1h",
    startsAt: silence && silence.state === "pending" && !silence.recurrence ? silence.startsAt : "",
    endsAt:
      silence?.endsAt ??
      (days > 0 ? new Date(Math.ceil(Date.now() / MINUTE + days * 24 * 60) * MINUTE).toISOString() : ""),
    recurrence: silence?.recurrence ?? { cron: "0 22 * * 6", durationMs: 4 * HOUR, timezone: zone },
  };
}

/** The members of a request. @returns undefined while they are not complete */
export function timesBody(times: Times, silence?: Silence): Readonly<Record<string, unknown>> | undefined {
  const { isRecurring, length, startsAt, endsAt, recurrence } = times;
  const start = startsAt === "" ? {} : { startsAt };
  // An active silence keeps its start; its end counts from now.
  const from = startsAt === "" ? Date.now() : Date.parse(startsAt);
  if (isRecurring) {
    if (recurrence.cron.trim() === "" || !hasEnd(recurrence)) return undefined;
    return { recurrence, ...start, ...(endsAt === "" ? (silence ? { endsAt: null } : {}) : { endsAt }) };
  }
  const once = silence?.recurrence ? { recurrence: null, kind: "silence" } : {};
  if (length === "morning") return { ...once, ...start, endsAt: tomorrowAtNine(displayZone.value) };
  const ms = LENGTHS[length];
  if (ms === undefined) return endsAt === "" ? undefined : { ...once, ...start, endsAt };
  // Whole minutes, so that the preview is not requested at each render.
  if (silence) return { ...once, ...start, endsAt: new Date(Math.ceil((from + ms) / MINUTE) * MINUTE).toISOString() };
  return { ...start, durationMs: ms };
}

function hasEnd({ durationMs = 0, until }: SilenceRecurrence): boolean {
  return until === undefined ? durationMs >= MINUTE : until !== "";
}
