import { sql } from "kysely";
import type { EpochMs } from "../../core/clock.ts";
import type { ReadDb } from "../../store/database.ts";

/** Work that was due while the server was down, and has not been done. */
export interface LateWork {
  /** Incidents with a step, repetition or notice that was due, and pages that waited. */
  readonly incidents: number;
  /** Those of high urgency. */
  readonly urgentIncidents: number;
  readonly timers: number;
  readonly scheduledRuns: number;
  readonly deliveries: number;
  readonly otherJobs: number;
}

/** Work of the server itself. */
const OWN_QUEUES = ["retention", "bucket-monitoring"];

/** Reads it before the server does it. @param to the time of the start */
export async function lateWork(db: ReadDb, from: EpochMs, to: EpochMs): Promise<LateWork> {
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
