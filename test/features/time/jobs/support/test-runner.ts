import type { TestContext } from "node:test";
import type { QueueName, QueueSettings } from "../../../../../src/core/limits/queues.ts";
import { AuditLog } from "../../../../../src/features/records/audit/audit-log.ts";
import { JobService } from "../../../../../src/features/time/jobs/job-service.ts";
import { JobHooks } from "../../../../../src/features/time/jobs/moved-jobs.ts";
import {
  type JobControl,
  jobControl,
  pausedQueues,
  type QueueControl,
  queueControl,
} from "../../../../../src/features/time/jobs/operator.ts";
import type { RunningJob } from "../../../../../src/features/time/jobs/runner/job.ts";
import {
  type BegunJobs,
  RETRY_BASE_MS,
  RETRY_CAP_MS,
} from "../../../../../src/features/time/jobs/runner/job-execution.ts";
import { JobRunner } from "../../../../../src/features/time/jobs/runner/runner.ts";
import { countWaitingJobs } from "../../../../../src/features/time/jobs/runner/runner-queue.ts";
import { FakeClock } from "../../../../helpers/fake-clock.ts";
import { openTestStore, type TestStore, type TestStoreOptions } from "../../../../helpers/store.ts";
import { applyJobEffects } from "./job-effects.ts";

export interface JobLine {
  readonly seq: number;
  readonly id: string;
  readonly queue: string;
  readonly state: string;
  readonly attempts: number;
  readonly fence: number;
  readonly runAt: number;
  readonly workerId: string | null;
  readonly lastError: string | null;
  readonly result: string | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

export interface AttemptLine {
  readonly attempt: number;
  readonly outcome: string;
  readonly error: string | null;
  readonly worker: string;
}

export interface RunnerOptions extends TestStoreOptions {
  readonly store?: TestStore;
  readonly clock?: FakeClock;
  readonly concurrency?: number;
  readonly maxAttempts?: number;
  readonly maxWaiting?: number;
  readonly begun?: BegunJobs;
  /** As the leader of a cluster. */
  readonly isReplicated?: boolean;
  /** Of one queue, where it has other ones. */
  readonly settingsOf?: (queue: QueueName) => Partial<QueueSettings>;
}

export function queueSettings(settings: Partial<QueueSettings> = {}): QueueSettings {
  return { concurrency: 2, maxAttempts: 3, backoffBaseMs: RETRY_BASE_MS, backoffCapMs: RETRY_CAP_MS, ...settings };
}

/**
 * A runner as in the server, with its own store and a fake clock. It is stopped before its store is
 * closed.
 */
export class TestRunner {
  readonly store: TestStore;
  readonly clock: FakeClock;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly control: JobControl;
  readonly queues: QueueControl;

  constructor(t: TestContext, options: RunnerOptions = {}) {
    const { concurrency = 2, maxAttempts = 3 } = options;
    this.store = options.store ?? openTestStore(t, options);
    // Elapsed time has fractions on every real machine.
    this.clock = options.clock ?? new FakeClock(Date.now(), { tickMs: 0.37 });
    const { committer, reader, database, log } = this.store;
    const settingsOf = (queue: QueueName) =>
      queueSettings({ concurrency, maxAttempts, ...options.settingsOf?.(queue) });
    const limit = options.maxWaiting === undefined ? {} : { maxWaiting: options.maxWaiting };
    const begun = options.begun === undefined ? {} : { begun: options.begun };
    this.runner = new JobRunner({
      committer,
      reader,
      clock: this.clock,
      log,
      isReplicated: options.isReplicated ?? false,
      settingsOf,
      countWaiting: () => countWaitingJobs(database.read, database.scan),
      ...limit,
      ...begun,
    });
    const { runner, clock } = this;
    applyJobEffects(database, runner);
    const shared = { ...begun, db: database, committer, runner, clock, hooks: new JobHooks(), settingsOf };
    this.jobs = new JobService(shared);
    const operator = { ...shared, audit: new AuditLog(database, clock) };
    for (const queue of pausedQueues(reader)) runner.pause(queue);
    this.control = jobControl(operator);
    this.queues = queueControl(operator);
    // Hooks run in the order in which they were set, so the store would close first.
    const close = this.store.close;
    Object.assign(this.store, { close: () => this.runner.stop(0).then(() => close()) });
    t.after(() => this.runner.stop(0));
  }

  /** Enqueues a job of kind `test`; by default it is due now. @returns its id. */
  async add(payload: unknown, job: Partial<Parameters<JobService["enqueue"]>[0]> = {}): Promise<string> {
    const { jobId } = await this.jobs.enqueue({
      queue: "timers" as QueueName,
      kind: "test",
      payload,
      runAt: this.clock.now(),
      ...job,
    });
    return jobId;
  }

  /** Keeps the payload of each run, in the order in which they began. */
  recordRuns(): unknown[] {
    const runs: unknown[] = [];
    this.runner.handle("test", async (job: RunningJob) => {
      runs.push(job.payload);
    });
    return runs;
  }

  rows(): JobLine[] {
    return this.store.reader.prepare<[], JobLine>("select * from jobs order by seq").all();
  }

  row(id: string): JobLine {
    const row = this.store.reader.prepare<[string], JobLine>("select * from jobs where id = ?").get(id);
    if (!row) throw new Error(`there is no job ${id}`);
    return row;
  }

  stateOf(id: string): string {
    return this.row(id).state;
  }

  states(): string[] {
    return this.rows().map(({ state }) => state);
  }

  attemptsOf(id: string): AttemptLine[] {
    return this.store.reader
      .prepare<[string], AttemptLine>(
        "select attempt, outcome, error, worker from job_attempts where jobId = ? order by attempt",
      )
      .all(id);
  }
}
