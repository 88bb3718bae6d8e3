import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import { type Counter, type Histogram, type Metrics, SECONDS_BUCKETS } from "../../core/metrics.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import type { QueueName } from "../../core/queues.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Committer } from "../../store/commit/committer.ts";
import type { Database } from "../../store/database.ts";
import type { DeadJob } from "../../store/effect.ts";
import type { AuditService } from "../audit/index.ts";
import { type BulkAction, type BulkRequest, type BulkResult, changeJobs } from "./bulk.ts";
import { JobService } from "./job-service.ts";
import { JobHooks } from "./moved-jobs.ts";
import { type JobControl, jobControl, pausedQueues, type QueueControl, queueControl } from "./operator.ts";
import type { AttemptFacts } from "./runner/job.ts";
import { BegunJobs } from "./runner/job-execution.ts";
import { JobRunner } from "./runner/runner.ts";
import { countWaitingJobs } from "./runner/waiting-counts.ts";
import { WorkerLeases } from "./worker-leases.ts";

interface QueueMetrics {
  readonly duration: Histogram;
  readonly lateness: Histogram;
  readonly outcomes: Map<AttemptFacts["outcome"], Counter>;
}

/**
 * Counts job attempts as they end. There are few queues: the built-in ones and one per module.
 * @returns the function that counts one attempt
 */
function attemptMetrics(metrics: Metrics): (attempt: AttemptFacts) => void {
  const durations = metrics.histogram("prism_job_duration_seconds", "Time of one attempt by queue", SECONDS_BUCKETS);
  const lateness = metrics.histogram(
    "prism_job_lateness_seconds",
    "How long after its time a job was claimed",
    SECONDS_BUCKETS,
  );
  const attempts = metrics.counter("prism_job_attempts_total", "Attempts at jobs by queue and outcome");
  // Cached by name: rendering the labels costs more than counting.
  const queues = new Map<QueueName, QueueMetrics>();
  const newQueue = (queue: QueueName): QueueMetrics => {
    const of = { duration: durations({ queue }), lateness: lateness({ queue }), outcomes: new Map() };
    queues.set(queue, of);
    return of;
  };
  return ({ queue, outcome, durationMs, latenessMs }) => {
    const of = queues.get(queue) ?? newQueue(queue);
    of.duration.observe(durationMs / 1000);
    of.lateness.observe(latenessMs / 1000);
    let counter = of.outcomes.get(outcome);
    if (!counter) {
      counter = attempts({ queue, outcome });
      of.outcomes.set(outcome, counter);
    }
    counter.add();
  };
}

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

/** File in the data directory. */
const BEGUN_FILE = "jobs.begun";

export interface JobServices {
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly jobControl: JobControl;
  readonly queueControl: QueueControl;
  /** Actions of operators on many jobs. */
  bulk(caller: PermissionHolder, action: BulkAction, request: BulkRequest): Promise<BulkResult>;
  readonly workerLeases: WorkerLeases;
}

/** Opens the job table's runner, and the services of features and operators. */
export function openJobs(parts: JobParts): JobServices {
  const { database, audit, committer, reader, clock, log, metrics, settings, dataDir, onDead } = parts;
  const begun = new BegunJobs(join(dataDir, BEGUN_FILE));
  const onAttempt = attemptMetrics(metrics);
  const settingsOf = settings.queue.bind(settings);
  const runner = new JobRunner({
    committer,
    reader,
    clock,
    log,
    begun,
    settingsOf,
    countWaiting: () => countWaitingJobs(database.read, database.scan),
    onAttempt,
    onDead,
    onReady: (queue) => workerLeases.wake(queue),
  });
  for (const queue of pausedQueues(reader)) runner.pause(queue);
  const hooks = new JobHooks();
  const jobs = new JobService({ database, clock, runner, hooks, settingsOf, committer, begun });
  const workerLeases = new WorkerLeases({ database, reader, clock, log, runner, hooks, settingsOf, jobs, onAttempt });
  const operator = { database, clock, runner, hooks, settingsOf, audit };
  return {
    runner,
    jobs,
    jobControl: jobControl(operator),
    queueControl: queueControl(operator),
    bulk: changeJobs.bind(null, operator),
    workerLeases,
  };
}
