import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import { type DeadJob, JobRunner } from "../jobs/runner.ts";
import type { Committer } from "../store/committer.ts";
import type { Database } from "../store/database.ts";
import { JobMetrics } from "./job-metrics.ts";
import { JobService } from "./job-service.ts";
import type { LiveSettings } from "./live-settings.ts";

export interface JobParts {
  readonly database: Database;
  readonly committer: Committer;
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly settings: LiveSettings;
  onDead(job: DeadJob): void;
}

export interface JobServices {
  readonly runner: JobRunner;
  readonly jobs: JobService;
}

/** The job table's runner and what features use of it. */
export function openJobs({ database, metrics, settings, ...parts }: JobParts): JobServices {
  const jobMetrics = new JobMetrics(metrics);
  const settingsOf = settings.queue.bind(settings);
  const runner = new JobRunner({ ...parts, settingsOf, onAttempt: (attempt) => jobMetrics.attempted(attempt) });
  return { runner, jobs: new JobService({ database, runner, clock: parts.clock, settingsOf }) };
}
