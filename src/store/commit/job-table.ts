import { CompiledQuery, type Selectable, sql } from "kysely";
import { insertLater, later, type ReadDb, runLater, type Trx } from "../database.ts";
import type { JobState, JobsTable } from "../schema.ts";
import { ADD_ATTEMPT, CLAIM_THESE, endOf, entersHistory, inClaimOrder, READY, SUCCEED_THESE } from "./job-sql.ts";
import type { ClaimedJob, JobClaim, JobFinish, JobRow, JobWork } from "./write-set.ts";

/*
 * Every change of the job table made in a transaction. Only this file and job-sql.ts write `jobs`
 * and `job_attempts`. The caller notifies the runner after the commit.
 */

export type StoredJob = Selectable<JobsTable>;

/** SQLite binds up to 32 766 values per statement. */
const ROWS_AT_ONCE = 500;
const WAITING: readonly JobState[] = ["scheduled", "ready", "retrying"];

export function isWaiting(state: JobState): boolean {
  return WAITING.includes(state);
}

export function findJob(db: ReadDb | Trx, id: string): Promise<StoredJob | undefined> {
  return db.selectFrom("jobs").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Unfinished jobs of a queue that hold one of the dedupe keys. */
export function holdersOf(db: ReadDb | Trx, queue: string, dedupeKeys: readonly string[]): Promise<StoredJob[]> {
  return db
    .selectFrom("jobs")
    .selectAll()
    .where("queue", "=", queue)
    .where("dedupeKey", "in", dedupeKeys)
    .where("finishedAt", "is", null)
    .execute();
}

/** Inserts jobs; skips those whose dedupe key is held by an unfinished job of their queue. */
export function insertJobs(trx: Trx, rows: readonly JobRow[]): void {
  const [first] = rows;
  if (first && rows.length === 1) return insertLater(trx, "jobs", first, "on conflict do nothing");
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const insert = trx
      .insertInto("jobs")
      .values(rows.slice(at, at + ROWS_AT_ONCE))
      .onConflict((conflict) => conflict.doNothing());
    runLater(trx, insert.compile());
  }
}

export async function claimJobs(trx: Trx, claim: JobClaim): Promise<ClaimedJob[]> {
  return claimThese(trx, await claimable(trx, claim), claim);
}

/** Sequence numbers of the jobs a claim would take, in its order. */
export async function claimable(
  trx: Trx,
  { queue, limit, oldestFirst }: Pick<JobClaim, "queue" | "limit" | "oldestFirst">,
): Promise<number[]> {
  const text = oldestFirst ? READY.byAge : READY.byPriority;
  const rows = await rowsOf<{ seq: number }>(trx, text, { queue, limit });
  return rows.map(({ seq }) => seq);
}

/** Claims the jobs that are still ready. */
export async function claimThese(
  trx: Trx,
  seqs: readonly number[],
  { workerId, now }: Pick<JobClaim, "workerId" | "now">,
): Promise<ClaimedJob[]> {
  if (seqs.length === 0) return [];
  return inClaimOrder(await rowsOf(trx, CLAIM_THESE, { workerId, now, seqs: JSON.stringify(seqs) }));
}

/**
 * Finishes an attempt, as a write set of the runner does. @returns false when another worker holds
 * the claim and nothing changed
 */
export async function endAttempt(trx: Trx, finish: JobFinish): Promise<boolean> {
  const { sql: text, parameters } = endOf(finish);
  if ((await run(trx, text, parameters)) === 0) return false;
  if (entersHistory(finish)) await run(trx, ADD_ATTEMPT, finish);
  return true;
}

/** Ends attempts that succeeded and leave no result, at the latest with the commit. */
export function succeedLater(trx: Trx, groups: NonNullable<JobWork["succeeded"]>): void {
  for (const { seqs, now, fence } of groups) later(trx, SUCCEED_THESE, [{ now, fence, seqs: JSON.stringify(seqs) }]);
}

export function runningJobs(trx: Trx) {
  // A literal: with a bound value SQLite would read all jobs instead of the index of running ones.
  return trx.selectFrom("jobs").selectAll().where("state", "=", sql.lit("running"));
}

/** Makes a running job whose worker is lost ready again. The attempt counts. */
export async function requeueLost(trx: Trx, job: StoredJob, now: number): Promise<void> {
  await trx.updateTable("jobs").set({ state: "ready", workerId: null }).where("seq", "=", job.seq).execute();
  await addLostAttempt(trx, job, now);
}

/** Fails a running job whose worker is lost in its last attempt; its history says so. */
export async function endLost(
  trx: Trx,
  job: StoredJob,
  finish: Extract<JobFinish, { outcome: "retrying" | "dead" }>,
): Promise<void> {
  const { sql: text, parameters } = endOf(finish);
  await run(trx, text, parameters);
  await addLostAttempt(trx, job, finish.now);
}

/** Clears the worker of a running job. A starting server then ends its attempt. */
export async function removeWorker(trx: Trx, { seq }: Pick<StoredJob, "seq">): Promise<void> {
  await trx.updateTable("jobs").set({ workerId: null }).where("seq", "=", seq).execute();
}

async function addLostAttempt(trx: Trx, job: StoredJob, now: number): Promise<void> {
  const { id, attempts: attempt } = job;
  const [startedAt, workerId] = [job.startedAt ?? now, job.workerId ?? ""];
  await run(trx, ADD_ATTEMPT, { id, attempt, startedAt, now, outcome: "lost", error: null, workerId });
}

/** Makes jobs in one of the states ready now. @returns the changed jobs. */
export function makeReady(
  trx: Trx,
  ids: readonly string[],
  states: readonly JobState[],
  now: number,
): Promise<{ queue: string; runAt: number }[]> {
  return trx
    .updateTable("jobs")
    .set({ state: "ready", runAt: now })
    .where("id", "in", ids)
    .where("state", "in", states)
    .returning(["queue", "runAt"])
    .execute();
}

/** Cancels waiting jobs of a queue. @returns the cancelled jobs. */
export function cancelWaiting(
  trx: Trx,
  queue: string,
  seqs: readonly number[],
  now: number,
): Promise<{ id: string; kind: string }[]> {
  return (
    trx
      .updateTable("jobs")
      .set({ state: "cancelled", finishedAt: now })
      // Not a parameter for each: a user may have more timers than SQLite takes parameters.
      .where("seq", "in", sql<number>`(select value from json_each(${JSON.stringify(seqs)}))`)
      .where("queue", "=", queue)
      .where("state", "in", WAITING)
      .returning(["id", "kind"])
      .execute()
  );
}

/** Restarts dead or cancelled jobs with all attempts of the queue; keeps their history. */
export async function restartJobs(
  trx: Trx,
  seqs: readonly number[],
  start: Pick<JobRow, "queue" | "runAt" | "maxAttempts">,
): Promise<void> {
  const unstarted = { attempts: 0, workerId: null, startedAt: null, finishedAt: null, progress: null } as const;
  await trx
    .updateTable("jobs")
    .set({ ...start, ...unstarted, state: "ready" })
    .where("seq", "in", seqs)
    .execute();
}

/** Removes the job's dedupe key, so that another job can take it. */
export async function releaseKey(trx: Trx, id: string): Promise<void> {
  await trx.updateTable("jobs").set({ dedupeKey: null }).where("id", "=", id).execute();
}

export async function deleteJobs(trx: Trx, ids: readonly string[]): Promise<void> {
  await trx.deleteFrom("job_attempts").where("jobId", "in", ids).execute();
  await trx.deleteFrom("jobs").where("id", "in", ids).execute();
}

async function run(trx: Trx, text: string, parameters: object): Promise<number> {
  const { numAffectedRows } = await trx.executeQuery(CompiledQuery.raw(text, [parameters]));
  return Number(numAffectedRows ?? 0);
}

async function rowsOf<R = ClaimedJob>(trx: Trx, text: string, parameters: object): Promise<R[]> {
  const { rows } = await trx.executeQuery<R>(CompiledQuery.raw(text, [parameters]));
  return rows;
}
