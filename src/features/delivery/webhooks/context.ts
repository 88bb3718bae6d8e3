import type { Config } from "../../../config/load.ts";
import type { Clock } from "../../../core/clock.ts";
import type { SealedBox } from "../../../core/sealed-box.ts";
import type { LiveSettings } from "../../../http/live-settings.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import type { Database } from "../../../store/database.ts";
import type { StorageGuard } from "../../../store/write-health.ts";
import type { Projects } from "../../access/index.ts";

/** What the feature needs besides the services of every module. */
export interface WebhooksOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly box: SealedBox;
  readonly projects: Projects;
  readonly storage: StorageGuard;
  readonly settings: LiveSettings;
}

export type WebhooksContext = WebhooksOwn & Pick<CoreServices, "audit">;
