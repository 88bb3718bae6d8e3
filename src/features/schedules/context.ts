import type { Config } from "../../config/load.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { TimerService } from "../timers/index.ts";
import type { Schedules } from "./schedules.ts";

/** What the feature needs besides the services of every module. */
export interface SchedulesOwn {
  readonly db: Database;
  readonly config: Config;
  readonly schedules: Schedules;
  readonly storage: StorageGuard;
  readonly timer: TimerService;
}

export type SchedulesContext = SchedulesOwn & Pick<CoreServices, "audit">;
