import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Metrics } from "../../core/metrics.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Committer } from "../../store/commit/committer.ts";
import type { Database } from "../../store/database.ts";
import type { DeadJob } from "../../store/effect.ts";
import type { AuditService } from "../audit/index.ts";
import { JobControl } from "./job-control.ts";
import { JobHooks } from "./job-hooks.ts";
import { JobMetrics } from "./job-metrics.ts";
import { JobService } from "./job-service.ts";
import { QueueControl } from "./queue-control.ts";
import { BegunJobs } from "./runner/begun-jobs.ts";
import { JobRunner } from "./runner/runner.ts";
import { countWaitingJobs } from "./runner/waiting-counts.ts";
import { WorkerLeases } from "./worker-leases.ts";

export interface JobParts {
  readonly database: Database;
  readonly audit: AuditService;
  readonly committer: Committer;
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly settings: LiveSettings;
  readonly dataDir: string;
  onDead(job: DeadJob): void;
}

/** In the data directory, beside the database. */
const BEGUN_FILE = "jobs.begun";

export interface JobServices {
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly jobControl: JobControl;
  readonly queueControl: QueueControl;
  readonly workerLeases: WorkerLeases;
}

/** The job table's runner, and what features and operators use of it. Queues that were paused are paused again. */
export function openJobs({ database, audit, metrics, settings, dataDir, ...parts }: JobParts): JobServices {
  const begun = new BegunJobs(join(dataDir, BEGUN_FILE));
  const jobMetrics = new JobMetrics(metrics);
  const settingsOf = settings.queue.bind(settings);
  const runner = new JobRunner({
    ...parts,
    begun,
    settingsOf,
    countWaiting: () => countWaitingJobs(database.read, database.scan),
    onAttempt: (attempt) => jobMetrics.attempted(attempt),
    onReady: (queue) => workerLeases.wake(queue),
  });
  const shared = { ...parts, begun, database, runner, hooks: new JobHooks(), settingsOf };
  const jobs = new JobService(shared);
  const queueControl = new QueueControl({ ...shared, audit });
  const onAttempt = jobMetrics.attempted.bind(jobMetrics);
  const workerLeases = new WorkerLeases({ ...shared, jobs, onAttempt });
  return {
    runner,
    jobs,
    jobControl: new JobControl({ ...shared, audit }),
    queueControl,
    workerLeases,
  };
}
