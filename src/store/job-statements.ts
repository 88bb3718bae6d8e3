import type { Database as Sqlite } from "better-sqlite3";
import { assertNever } from "../base/errors.ts";
import { CLAIMS, type ClaimParameters, inClaimOrder } from "./job-claim.ts";
import type { ClaimedJob, ClockStep, JobClaim, JobFinish, JobRow, JobWork } from "./write-set.ts";

type Value = string | number | null;

/** The job table's part of a write set: enqueue, promote what is due, claim, complete (contract 8.1 and 8.2). */
export class JobStatements {
  readonly #sql;

  constructor(connection: Sqlite) {
    this.#sql = prepareAll(connection);
  }

  apply(work: JobWork): ClaimedJob[] {
    for (const { id, fence, progress } of work.progress) this.#sql.progress.run(progress, id, fence);
    for (const finish of work.finish) this.#finish(finish);
    for (const job of work.insert) this.insert(job);
    if (work.promoteDueAt !== null) this.#promote(work.promoteDueAt, work.setBack);
    if (work.setBack) this.#sql.setBack.run({ byMs: work.setBack.byMs, now: work.setBack.now });
    return work.claim.flatMap((claim) => this.#claim(claim));
  }

  #promote(dueAt: number, step: ClockStep | null): void {
    if (step) this.#sql.promoteMadeBefore.run({ dueAt, madeFrom: step.madeFrom, now: step.now });
    else this.#sql.promote.run(dueAt);
  }

  /** A job whose dedupe key is held by an unfinished job of its queue is not inserted: the earlier one stands for both. @returns whether it was. */
  insert(job: JobRow): boolean {
    const { changes } = this.#sql.insert.run(
      job.id,
      job.queue,
      job.kind,
      job.payload,
      job.state,
      job.priority,
      job.runAt,
      job.maxAttempts,
      job.backoff,
      job.dedupeKey,
      job.label,
      job.module,
      job.createdBy,
      job.correlationId,
      job.createdAt,
    );
    return changes > 0;
  }

  #claim({ queue, limit, workerId, now, oldestFirst }: JobClaim): ClaimedJob[] {
    const statement = oldestFirst ? this.#sql.claimByAge : this.#sql.claimByPriority;
    return inClaimOrder(statement.all({ workerId, now, queue, limit }));
  }

  #retry({ id, fence, runAt, error, queue, maxAttempts }: Extract<JobFinish, { outcome: "retrying" }>) {
    return this.#sql.retry.run(runAt, error, queue, queue, maxAttempts, id, fence);
  }

  #finish(finish: JobFinish): void {
    const { id, fence, attempt, startedAt, now, workerId } = finish;
    switch (finish.outcome) {
      case "succeeded":
        this.#sql.succeed.run(now, finish.result, id, fence);
        return;
      case "returned":
        // As if it had not been tried.
        this.#sql.giveBack.run(finish.runAt === undefined ? "ready" : "scheduled", finish.runAt ?? null, id, fence);
        return;
      case "retrying":
        if (this.#retry(finish).changes === 0) return;
        break;
      case "dead":
        if (this.#sql.bury.run(now, finish.error, finish.queue, finish.queue, id, fence).changes === 0) return;
        break;
      default:
        assertNever(finish);
    }
    this.#sql.attempt.run(id, attempt, startedAt, now, finish.outcome, finish.error, workerId, id);
  }
}

function prepareAll(connection: Sqlite) {
  const prepare = (text: string) => connection.prepare<Value[]>(text);
  return {
    insert: prepare(
      `insert into jobs (id, queue, kind, payload, state, priority, runAt, maxAttempts, backoff, dedupeKey, label, module, createdBy,
       correlationId, createdAt) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (queue, dedupeKey) where dedupeKey is not null and finishedAt is null do nothing`,
    ),
    promote: prepare("update jobs set state = 'ready' where state in ('scheduled', 'retrying') and runAt <= ?"),
    // By the clock as it was: what was made after the step has its time by the clock as it is.
    promoteMadeBefore: connection.prepare<{ dueAt: number; madeFrom: number; now: number }>(
      `update jobs set state = 'ready' where state in ('scheduled', 'retrying') and runAt <= @dueAt
       and (max(createdAt, coalesce(startedAt, 0)) not between @madeFrom and @now or runAt <= @now)`,
    ),
    // A job's attempt counts as its making: then its next one was set.
    setBack: connection.prepare<{ byMs: number; now: number }>(
      `update jobs set runAt = runAt - @byMs, createdAt = min(createdAt, @now), startedAt = min(startedAt, @now)
       where state in ('scheduled', 'retrying') and max(createdAt, coalesce(startedAt, 0)) > @now`,
    ),
    claimByPriority: connection.prepare<ClaimParameters, ClaimedJob>(CLAIMS.byPriority),
    claimByAge: connection.prepare<ClaimParameters, ClaimedJob>(CLAIMS.byAge),
    succeed: prepare(
      `update jobs set state = 'succeeded', finishedAt = ?, result = ?, lastError = null
       where id = ? and state = 'running' and fence = ?`,
    ),
    progress: prepare("update jobs set progress = ? where id = ? and state = 'running' and fence = ?"),
    // A dedupe key holds in its queue: what moves on leaves it behind.
    retry: prepare(
      `update jobs set state = 'retrying', runAt = ?, lastError = ?, dedupeKey = iif(queue = ?, dedupeKey, null), queue = ?,
       maxAttempts = ? where id = ? and state = 'running' and fence = ?`,
    ),
    bury: prepare(
      `update jobs set state = 'dead', finishedAt = ?, lastError = ?, dedupeKey = iif(queue = ?, dedupeKey, null), queue = ?
       where id = ? and state = 'running' and fence = ?`,
    ),
    giveBack: prepare(
      `update jobs set state = ?, runAt = coalesce(?, runAt), attempts = attempts - 1, workerId = null
       where id = ? and state = 'running' and fence = ?`,
    ),
    attempt: prepare(
      // Behind those that are there, which an operator's retry leaves: it counts attempts from 1 again.
      `insert into job_attempts (jobId, attempt, startedAt, endedAt, outcome, error, worker)
       select ?, max(?, coalesce(max(attempt), 0) + 1), ?, ?, ?, ?, ? from job_attempts where jobId = ?`,
    ),
  };
}
