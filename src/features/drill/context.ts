import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Database } from "../../store/database.ts";
import type { UserDirectory } from "../access/index.ts";
import type { AuditTrail } from "../audit/index.ts";
import type { PagePeople, PageSender, WaysOfPeople } from "../delivery/index.ts";
import type { Notifier } from "../notifications/index.ts";

/** What drills need of the server. */
export interface DrillParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly audit: AuditTrail;
  readonly notify: Notifier;
  readonly users: UserDirectory;
  readonly pages: PageSender;
  readonly pagePeople: PagePeople;
  readonly waysOf: WaysOfPeople;
  /** The settings in use. */
  settings(): Pick<Config, "drill" | "publicUrl">;
}
