import { sql } from "kysely";
import { deleteJobs } from "../../store/commit/job-table.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { daysBefore, type RetentionRule, sweepOf, sweepRows } from "../../store/retention.ts";

const FINISHED_DAYS = 7;
const DEAD_DAYS = 30;
const GONE_WORKER_MS = 3_600_000;

/** Finished jobs and their attempts. */
const jobs: RetentionRule<string> = {
  name: "jobs",
  async find(scan, now, limit) {
    const rows = await endedJobs(scan, now).orderBy("finishedAt").limit(limit).execute();
    return rows.map(({ id }) => id);
  },
  async remove(trx, ids, now) {
    // An operator may have retried a dead one.
    const rows = await endedJobs(trx, now).where("id", "in", ids).execute();
    const gone = rows.map(({ id }) => id);
    if (gone.length === 0) return 0;
    await deleteJobs(trx, gone);
    return gone.length;
  },
};

function endedJobs(db: ReadDb | Trx, now: number) {
  return db
    .selectFrom("jobs")
    .select("id")
    .where("finishedAt", "<=", daysBefore(now, FINISHED_DAYS))
    .where((e) => e.or([e("state", "<>", "dead"), e("finishedAt", "<=", daysBefore(now, DEAD_DAYS))]));
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

export const JOB_SWEEPS = [sweepOf(jobs), sweepRows("workers", goneWorkers)];
