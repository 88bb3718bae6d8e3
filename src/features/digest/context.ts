import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { Projects, UserDirectory } from "../access/index.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import type { Notifier } from "../notifications/index.ts";
import type { Schedules } from "../schedules/index.ts";

/** What the feature needs besides the services of every module. */
export interface DigestOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly schedules: Schedules;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly notify: Notifier;
}

export type DigestContext = DigestOwn & Pick<CoreServices, "events">;
