import type { Clock } from "../../../core/clock.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import type { Database } from "../../../store/database.ts";

/** What the feature needs besides the services of every module. */
export interface RolesOwn {
  readonly db: Database;
  readonly clock: Clock;
}

export type RolesContext = RolesOwn & Pick<CoreServices, "audit">;
