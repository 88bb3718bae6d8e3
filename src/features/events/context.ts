import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { BodyReader } from "../../http/body.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import type { HttpKernel } from "../../http/kernel.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { Principals, Projects } from "../access/index.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import type { PipelineMetrics } from "../rules/index.ts";
import type { EventPipeline } from "./pipeline/pipeline.ts";

/** What the feature needs besides the services of every module. */
export interface EventsOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly kernel: HttpKernel;
  readonly bodies: BodyReader;
  readonly pipeline: EventPipeline;
  readonly pipelineMetrics: PipelineMetrics;
  readonly jobs: JobService;
  readonly runner: JobRunner;
  readonly principals: Principals;
  readonly projects: Projects;
  readonly settings: LiveSettings;
  readonly idempotency: Idempotency;
}

export type EventsContext = EventsOwn & Pick<CoreServices, "audit">;
