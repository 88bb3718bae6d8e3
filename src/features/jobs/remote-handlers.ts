import type { ClaimedJob, JobClaim } from "../../store/commit/write-set.ts";
import type { Trx } from "../../store/database.ts";
import type { AttemptFacts } from "./runner/job.ts";
import type { FailedAttempt, HeldJob } from "./worker-claim.ts";

/**
 * What the server itself does about the jobs of a queue that workers elsewhere run: what comes before the work, and what comes of it. The worker gets
 * only what the work in between needs. Of a queue without such a handler, as a module's, it gets the job as it was made.
 */
export interface RemoteHandler {
  /** Chooses and claims. */
  claim(trx: Trx, claim: JobClaim): Promise<ClaimedJob[]>;
  /** @returns what the worker is handed in place of the payload; undefined when the job has ended without it, or waits again */
  begin(job: HeldJob): Promise<object | undefined>;
  /** Ends the job in the transaction of what the result means. @throws LostLease */
  complete(job: HeldJob, result: unknown): Promise<AttemptFacts["outcome"]>;
  /** Ends the attempt in the transaction of what its failure means. @throws LostLease */
  fail(job: HeldJob, failure: FailedAttempt): Promise<AttemptFacts["outcome"]>;
  /** These jobs are nobody's any more: their workers have handed them back, or are gone. */
  returned(trx: Trx, jobIds: readonly string[]): Promise<void>;
}
