import type { Idempotency } from "../../http/idempotency.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { UserDirectory } from "../access/index.ts";
import type { PendingTimers } from "./pending-timers.ts";
import type { TimerService } from "./timers.ts";

/** What the feature needs besides the services of every module. */
export interface TimeOwn {
  readonly db: Database;
  readonly pendingTimers: PendingTimers;
  readonly users: UserDirectory;
  readonly storage: StorageGuard;
  readonly idempotency: Idempotency;
  readonly timer: TimerService;
}

export type TimeContext = TimeOwn & Pick<CoreServices, "time">;
