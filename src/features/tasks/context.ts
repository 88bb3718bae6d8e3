import type { Clock } from "../../core/clock.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import type { Database } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { ReadCaches, UserDirectory } from "../access/index.ts";
import type { RealtimeService } from "../streams/index.ts";

/** What the feature needs besides the services of every module. */
export interface TasksOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly users: UserDirectory;
  readonly reads: ReadCaches;
  readonly storage: StorageGuard;
  readonly idempotency: Idempotency;
  readonly realtime: RealtimeService;
}

export type TasksContext = TasksOwn;
