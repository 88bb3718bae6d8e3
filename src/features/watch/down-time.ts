import { type Clock, type EpochMs, MINUTE_MS, spanText, toRfc3339 } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Database } from "../../store/database.ts";
import { administrators } from "../access/index.ts";
import type { EmergencyPort } from "../emergency/index.ts";
import type { Notifier } from "../notifications/index.ts";
import type { LastAlive } from "./alive-file.ts";
import { type LateWork, lateWork } from "./late-work.ts";

/** A time in which no server ran on the data directory. */
export interface DownTime extends LateWork {
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** The earlier server was stopped; otherwise it crashed, was killed, or lost its power. */
  readonly wasStopped: boolean;
}

export interface DownTimesParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly notify: Notifier;
  readonly emergency: EmergencyPort;
  /** `emergency.afterMs` */
  afterMs(): number;
}

/** Shorter ones are restarts. */
const WITH_LATE_WORK_MS = MINUTE_MS;
const ALWAYS_MS = 5 * MINUTE_MS;
const PRIORITY = 500;

/**
 * Reads after a start how long no server ran and what was late for it. @returns null for a restart, a
 * first start, or a clock that was set back
 */
export async function readDownTime(
  { db, clock }: Pick<DownTimesParts, "db" | "clock">,
  last: LastAlive | null,
): Promise<DownTime | null> {
  const to = clock.now();
  if (!last || to - last.at <= WITH_LATE_WORK_MS) return null;
  const late = await lateWork(db.scan, last.at, to);
  const down = { from: last.at, to, wasStopped: last.wasStopped, ...late };
  return isAnyLate(late) || to - last.at > ALWAYS_MS ? down : null;
}

/** Tells the administrators, the log, and `emergency` if pages were due for longer than it waits. */
export async function reportDownTime(parts: DownTimesParts, down: DownTime): Promise<void> {
  const { db, log, notify, emergency, afterMs } = parts;
  const { from, to, urgentIncidents } = down;
  const text = downText(down);
  log.warn({ downMs: to - from, ...down }, "the server was down");
  if (to - from > afterMs() && urgentIncidents > 0) emergency.raise("server-was-down", { text, since: from });
  const recipients = (await administrators(db.read)).map(({ id }) => id);
  if (recipients.length === 0) return;
  const title = `Prism was down for ${spanText(to - from)}`;
  const data = { from: toRfc3339(from), to: toRfc3339(to) };
  await notify.send({ recipients, title, message: text, priority: PRIORITY, data });
}

function isAnyLate({ incidents, timers, scheduledRuns, deliveries, otherJobs }: LateWork): boolean {
  return incidents + timers + scheduledRuns + deliveries + otherJobs > 0;
}

/** In sentences: from when to when, why, and what was late. */
export function downText(down: DownTime): string {
  const { from, to, wasStopped } = down;
  const cause = wasStopped ? "It had been stopped" : "It had crashed, was killed, or the machine lost its power";
  const span = `No server ran from ${toRfc3339(from)} to ${toRfc3339(to)}, ${spanText(to - from)}.`;
  return `${span} ${cause}. ${isAnyLate(down) ? `Late, and done now: ${lateText(down)}` : "Nothing was late"}.`;
}

function lateText({ incidents, urgentIncidents, timers, scheduledRuns, deliveries, otherJobs }: LateWork): string {
  const urgent = urgentIncidents === 0 ? "" : ` (${urgentIncidents} of high urgency)`;
  const parts: [n: number, one: string, many: string][] = [
    [incidents, `1 incident with due pages${urgent}`, `${incidents} incidents with due pages${urgent}`],
    [timers, "1 timer", `${timers} timers`],
    [scheduledRuns, "the run of 1 schedule", `runs of ${scheduledRuns} schedules`],
    [deliveries, "1 delivery", `${deliveries} deliveries`],
    [otherJobs, "1 other job", `${otherJobs} other jobs`],
  ];
  return parts.flatMap(([n, one, many]) => (n === 0 ? [] : [n === 1 ? one : many])).join(", ");
}
