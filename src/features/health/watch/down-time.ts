import { sql } from "kysely";
import { type EpochMs, MINUTE_MS, spanText, toRfc3339 } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { ReadDb } from "../../../store/database.ts";
import { administrators } from "../../access/index.ts";
import type { LastAlive } from "./alive-file.ts";

/** A time in which no server ran on the data directory. */
export interface DownTime extends LateWork {
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** The earlier server was stopped; otherwise it crashed, was killed, or lost its power. */
  readonly wasStopped: boolean;
  /** This node of a cluster heard no leader: it may have run, and paged people from a copy. */
  readonly hadNoLeader: boolean;
}

export type DownTimesParts = Uses<"db" | "clock" | "log" | "notify" | "emergency" | "settings">;

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
  const down = { from: last.at, to, wasStopped: last.wasStopped, hadNoLeader: last.hadNoLeader, ...late };
  return isAnyLate(late) || to - last.at > ALWAYS_MS ? down : null;
}

/** Tells the administrators, the log, and `emergency` if pages were due for longer than it waits. */
export async function reportDownTime(parts: DownTimesParts, down: DownTime): Promise<void> {
  const { db, log, notify, emergency, settings } = parts;
  const { from, to, urgentIncidents } = down;
  const text = downText(down);
  log.warn({ downMs: to - from, ...down }, "the server was down");
  if (to - from > settings.current.emergency.afterMs && urgentIncidents > 0)
    emergency.raise("server-was-down", { text, since: from });
  const recipients = (await administrators(db.read)).map(({ id }) => id);
  if (recipients.length === 0) return;
  const title = `${down.hadNoLeader ? "No server led" : "Prism was down"} for ${spanText(to - from)}`;
  const data = { from: toRfc3339(from), to: toRfc3339(to) };
  await notify.send({ recipients, title, message: text, priority: PRIORITY, data });
}

function isAnyLate({ incidents, timers, scheduledRuns, deliveries, otherJobs }: LateWork): boolean {
  return incidents + timers + scheduledRuns + deliveries + otherJobs > 0;
}

/** In sentences: from when to when, why, and what was late. */
export function downText(down: DownTime): string {
  const { from, to, wasStopped, hadNoLeader } = down;
  const cause = wasStopped ? "It had been stopped" : "It had crashed, was killed, or the machine lost its power";
  const span = `from ${toRfc3339(from)} to ${toRfc3339(to)}, ${spanText(to - from)}.`;
  const what = hadNoLeader ? `No server led ${span}` : `No server ran ${span} ${cause}.`;
  return `${what} ${isAnyLate(down) ? `Late, and done now: ${lateText(down)}` : "Nothing was late"}.`;
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

/** Work that was due while the server was down, and has not been done. */
interface LateWork {
  /** Incidents with a step, repetition or notice that was due, and pages that waited. */
  readonly incidents: number;
  /** Open incidents of high urgency. */
  readonly urgentIncidents: number;
  readonly timers: number;
  readonly scheduledRuns: number;
  readonly deliveries: number;
  readonly otherJobs: number;
}

/** Work of the server itself. */
const OWN_QUEUES = ["retention", "bucket-monitoring"];

/** Reads it before the server does it. @param to the time of the start */
async function lateWork(db: ReadDb, from: EpochMs, to: EpochMs): Promise<LateWork> {
  const [incidents, jobs, runs] = await Promise.all([lateIncidents(db, from, to), lateJobs(db, to), lateRuns(db, to)]);
  const of = (isMeant: (queue: string) => boolean): number =>
    jobs.filter(({ queue }) => isMeant(queue)).reduce((sum, { n }) => sum + n, 0);
  const isTimer = (queue: string): boolean => queue === "timers";
  const isDelivery = (queue: string): boolean => /^(notification-delivery|push-notification|workers:.*)$/.test(queue);
  return {
    ...incidents,
    timers: of(isTimer),
    scheduledRuns: runs,
    deliveries: of(isDelivery),
    otherJobs: of((queue) => !isTimer(queue) && !isDelivery(queue)),
  };
}

async function lateIncidents(db: ReadDb, from: EpochMs, to: EpochMs) {
  const rows = await db
    .selectFrom("incidents as i")
    .select(["i.urgency", (e) => e.fn.countAll<number>().as("n")])
    .where("i.state", "in", ["open", "acknowledged"])
    .where((e) =>
      e.or([
        ...(["i.flushAt", "i.stepAt", "i.repeatAt"] as const).map((column) => e.between(column, from, to)),
        e.exists(
          e
            .selectFrom("pages as p")
            .select("p.id")
            .whereRef("p.incidentId", "=", "i.id")
            .where("p.endedAt", "is", null)
            .where("p.createdAt", "<=", from),
        ),
      ]),
    )
    .groupBy("i.urgency")
    .execute();
  const incidents = rows.reduce((sum, { n }) => sum + n, 0);
  return { incidents, urgentIncidents: rows.find(({ urgency }) => urgency === "high")?.n ?? 0 };
}

async function lateJobs(db: ReadDb, to: EpochMs): Promise<{ queue: string; n: number }[]> {
  return (
    db
      .selectFrom("jobs")
      .select(["queue", (e) => e.fn.countAll<number>().as("n")])
      // Literals: SQLite could not use the partial indexes with bound values.
      .where(sql<boolean>`state in ('ready', 'scheduled', 'retrying')`)
      .where("runAt", "<=", to)
      .where("queue", "not in", OWN_QUEUES)
      .groupBy("queue")
      .execute()
  );
}

async function lateRuns(db: ReadDb, to: EpochMs): Promise<number> {
  const row = await db
    .selectFrom("schedules")
    .select((e) => e.fn.countAll<number>().as("n"))
    .where("nextRunAt", "<=", to)
    .where("queue", "not in", OWN_QUEUES)
    .executeTakeFirstOrThrow();
  return row.n;
}
