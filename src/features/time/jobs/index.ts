/** The part of `jobs` that other features may use. */

export { type EnqueuedJob, type JobService, LostLease, requireRoom } from "./job-service.ts";
export type { MovedJob } from "./moved-jobs.ts";
export { pausedKey } from "./operator.ts";
export {
  type AttemptFacts,
  COMPLETED,
  MAX_PAYLOAD_BYTES,
  type NewJob,
  newJobRow,
  PermanentError,
  RetryLater,
  type RunningJob,
} from "./runner/job.ts";
export { finishOf, jitteredDelayMs } from "./runner/job-execution.ts";
export type { JobRunner } from "./runner/runner.ts";
export type { JobCount } from "./runner/runner-queue.ts";
export { StepsBack } from "./runner/steps-back.ts";
export { actionWithoutWords, MASK, mayReadWords, queueViews, withoutWordsOf } from "./view.ts";
export type { FailedAttempt, HeldJob, RemoteHandler } from "./worker-attempts.ts";
export type { WorkerLeases } from "./worker-leases.ts";
