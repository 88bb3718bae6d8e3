import type { Silence, SilencePreview } from "../../../src/client/api-types.gen.ts";
import { cronWords } from "../../app/cron-words.ts";
import { matcherText } from "../../app/matchers.ts";
import { formatDuration, fromWallClock, toWallClock } from "../../ui/index.ts";

export type Span = SilencePreview["windows"][number];

export type SilenceRecurrence = NonNullable<Silence["recurrence"]>;

export const STATES = {
  active: { tone: "warn", text: "active" },
  pending: { tone: "info", text: "pending" },
  expired: { tone: "plain", text: "expired" },
} as const;

export const MINUTE = 60_000;
export const HOUR = 3_600_000;

/** Tomorrow at 9:00 in a zone. */
export function tomorrowAtNine(zone: string, now = Date.now()): string {
  const day = toWallClock(now, zone).slice(0, 10);
  const next = new Date(Date.parse(`${day}T00:00:00Z`) + 24 * HOUR).toISOString().slice(0, 10);
  return new Date(fromWallClock(`${next}T09:00:00`, zone)).toISOString();
}

/** In words when a maintenance window occurs. */
export function rhythmOf(recurrence: SilenceRecurrence): string {
  return `${cronWords(recurrence.cron) ?? recurrence.cron} ${spanOf(recurrence)}`;
}

/** How long its windows last, and in which zone. */
export function spanOf({ durationMs, until, timezone }: SilenceRecurrence): string {
  return `${until === undefined ? `for ${formatDuration(durationMs ?? 0)}` : `until ${until}`}, ${timezone}`;
}

/** The end of its current window, or of the silence. */
export function endOf({ window, endsAt }: Silence): string | null {
  return window?.endsAt ?? endsAt;
}

const ORDER: readonly Silence["state"][] = ["active", "pending", "expired"];

/** What is active, the first to end first; what comes, by its start; what has ended, the last one first. */
export function inOrder(silences: readonly Silence[]): readonly Silence[] {
  const timeOf = (silence: Silence) =>
    Date.parse((silence.state === "pending" ? silence.window?.startsAt : endOf(silence)) ?? "") || NEVER;
  return silences.toSorted((a, b) => {
    const later = timeOf(a) - timeOf(b);
    return ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.state === "expired" ? -later : later);
  });
}

const NEVER = 8.64e15;

/** The name of a silence: its comment, otherwise its matchers. */
export function nameOf({ comment, matchers }: Silence): string {
  const [line = ""] = comment.trim().split("\n");
  return line === "" ? matchers.map(matcherText).join(", ") : line;
}
