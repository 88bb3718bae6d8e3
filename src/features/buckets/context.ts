import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { Projects } from "../access/index.ts";
import type { IngestService } from "../events/index.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import type { Schedules } from "../schedules/index.ts";

/** What the feature needs besides the services of every module. */
export interface TransferBucketsOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly schedules: Schedules;
  readonly projects: Projects;
  readonly storage: StorageGuard;
  readonly idempotency: Idempotency;
  readonly ingest: IngestService;
}

export type TransferBucketsContext = TransferBucketsOwn & Pick<CoreServices, "audit">;
