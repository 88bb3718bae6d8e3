import type { ClaimedJob, JobClaim } from "./write-set.ts";

/** What a claim's statement is given. */
export type ClaimParameters = Omit<JobClaim, "oldestFirst">;

const CLAIMED =
  "seq, id, queue, kind, payload, priority, attempts, maxAttempts, backoff, fence, runAt, startedAt, label, createdBy, correlationId";

const CLAIM = `
  update jobs set state = 'running', workerId = @workerId, fence = fence + 1, attempts = attempts + 1, startedAt = max(@now, runAt)`;

// A claim repeats the partial index's predicate word for word: otherwise SQLite cannot use it.
const BY_PRIORITY =
  "select seq from jobs where queue = @queue and state = 'ready' order by priority desc, runAt, seq limit @limit";

/*
 * From the priority whose first job waits longest. It steps from priority to priority along the index: to sort all that is ready by age took
 * 45 ms of the writer's time with a million jobs, against 0.2.
 */
const LEVELS = `
  with recursive level (priority) as (
    select max(priority) from jobs where queue = @queue and state = 'ready'
    union all
    select (select max(j.priority) from jobs j where j.queue = @queue and j.state = 'ready' and j.priority < level.priority)
    from level where level.priority is not null
  )`;
const BY_AGE = `
  select seq from jobs where queue = @queue and state = 'ready' and priority = (
    select level.priority from level where level.priority is not null order by
    (select min(j.runAt) from jobs j where j.queue = @queue and j.state = 'ready' and j.priority = level.priority) limit 1
  ) order by runAt, seq limit @limit`;

/** The statements of a claim, whoever claims: by priority, and every so often by age, so that nothing starves (contract 8.2). */
export const CLAIMS = {
  byPriority: `${CLAIM} where seq in (${BY_PRIORITY}) returning ${CLAIMED}`,
  byAge: `${LEVELS}${CLAIM} where seq in (${BY_AGE}) returning ${CLAIMED}`,
} as const;

/** What such a claim would take, in its order; for whoever may not take everything. Parameters `queue` and `limit`. */
export const READY = { byPriority: BY_PRIORITY, byAge: `${LEVELS}${BY_AGE}` } as const;

/** Claims jobs that {@link READY} has found: `seqs` is a JSON list. Parameters `workerId`, `now` and `seqs`. */
export const CLAIM_THESE = `${CLAIM} where seq in (select value from json_each(@seqs)) and state = 'ready' returning ${CLAIMED}`;

/** Every tenth claim takes what waits longest, whatever its priority (contract 8.2). */
export const STARVATION_STRIDE = 10;

/** SQLite returns rows in no particular order; a claim's jobs are given in the order in which they are due to run. */
export function inClaimOrder(claimed: readonly ClaimedJob[]): ClaimedJob[] {
  return [...claimed].sort((a, b) => b.priority - a.priority || a.runAt - b.runAt || a.seq - b.seq);
}
