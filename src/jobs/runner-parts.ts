import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Committer } from "../store/committer.ts";
import type { JobState } from "../store/schema.ts";
import type { JobFinish, JobRow } from "../store/write-set.ts";
import type { BegunJobs } from "./begun-jobs.ts";
import type { QueueName, QueueSettings } from "./job.ts";
import type { CountWaiting } from "./waiting-counts.ts";

export interface RunnerParts {
  readonly committer: Committer;
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly log: Logger;
  settingsOf(queue: QueueName): QueueSettings;
  readonly countWaiting: CountWaiting;
  readonly begun?: BegunJobs;
  /** Jobs that may wait in one queue; default: as the contract has it. */
  readonly maxWaiting?: number;
  /** Told how each attempt ended, how long it took, and how long after its time it began. */
  onAttempt?(attempt: AttemptFacts): void;
  /** Told of each job that is dead, after the commit that says so. */
  onDead?(job: DeadJob): void;
  /** Told that jobs of the queue may be ready which were not; null: of any queue. */
  onReady?(queue: string | null): void;
}

export interface AttemptFacts {
  readonly queue: QueueName;
  readonly outcome: JobFinish["outcome"];
  readonly durationMs: number;
  readonly latenessMs: number;
}

/** A job that has failed for good. */
export interface DeadJob {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly label: string | null;
  readonly error: string;
}

/** A job as it has just been written. */
export type EnqueuedRow = Pick<JobRow, "queue" | "runAt"> & { readonly state: JobState };
