import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { BodyReader } from "../../http/body.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import type { SoundServices } from "./open-sounds.ts";

/** What the feature needs besides the services of every module. */
export interface SoundsOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly bodies: BodyReader;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly storage: StorageGuard;
  readonly settings: LiveSettings;
  readonly sounds: SoundServices;
}

export type SoundsContext = SoundsOwn & Pick<CoreServices, "audit" | "log">;
