import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../../core/clock.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { Projects, UserDirectory } from "../access/index.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import type { Announcer, Notifier } from "../notifications/index.ts";

/** What the feature needs besides the services of every module. */
export interface AlertsOwn {
  readonly db: Database;
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly announcer: Announcer;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly settings: LiveSettings;
  readonly notify: Notifier;
}

export type AlertsContext = AlertsOwn & Pick<CoreServices, "log">;
