import type { WorkerChannel } from "../../../core/worker-channels.ts";

/** A job as a server hands it out (contract 4.12). */
export interface LeasedJob {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Names the attempt. */
  readonly fence: number;
  readonly correlationId: string;
  readonly runAt: string;
}

/** What a worker does with the jobs of some queues. */
export interface Work {
  /**
   * Runs a job, at least once. @returns its result. @throws RetryLater, PermanentError, DeadTarget or ProviderDown for what they say,
   * {@link ServerOnly} for a job that this process can never run, anything else to be tried again. It ends soon after the signal has aborted, with whatever it likes
   * @param stopping aborts when the worker begins to stop; a job that need not be ended then may throw StoppedCall, and is handed back
   */
  run(job: LeasedJob, signal: AbortSignal, stopping: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
}

/** Work on outside channels. */
export interface ChannelWork extends Work {
  /** Those that this process has the settings of. */
  readonly channels: readonly WorkerChannel[];
}

/** The job needs what only the server has: it is handed back, and no other of its queue is claimed. */
export class ServerOnly extends Error {
  override readonly name = "ServerOnly";
}
