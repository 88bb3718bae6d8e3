import { sql } from "kysely";
import { deleteJobs } from "../../../store/commit/job-table.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { daysBefore, sweepRows } from "../../../store/retention.ts";

const FINISHED_DAYS = 7;
const DEAD_DAYS = 30;
const GONE_WORKER_MS = 3_600_000;

function endedJobs(db: ReadDb | Trx, now: number) {
  return db
    .selectFrom("jobs")
    .select("id")
    .where("finishedAt", "<=", daysBefore(now, FINISHED_DAYS))
    .where((e) => e.or([e("state", "<>", "dead"), e("finishedAt", "<=", daysBefore(now, DEAD_DAYS))]))
    .orderBy("finishedAt");
}

/** Remote workers whose lease expired an hour ago and that hold no job. */
function goneWorkers(db: ReadDb | Trx, now: number) {
  const held = sql<boolean>`exists (select 1 from jobs where jobs.workerId = workers.id and jobs.state = 'running')`;
  return db
    .selectFrom("workers")
    .select("id")
    .where("leaseUntil", "<=", now - GONE_WORKER_MS)
    .where((e) => e.not(held));
}

/** Finished jobs and their attempts. */
const jobs = sweepRows("jobs", endedJobs, {
  remove: (trx, keys) =>
    deleteJobs(
      trx,
      keys.map(({ id }) => id),
    ),
});

export const JOB_SWEEPS = [jobs, sweepRows("workers", goneWorkers)];
