import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import type { Connections, RealtimeAccess } from "../../live/connections.ts";
import type { Hub } from "../../live/hub.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { Projects } from "../access/index.ts";
import type { RealtimeTickets } from "./realtime-tickets.ts";

/** What the feature needs besides the services of every module. */
export interface RealtimeOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly hub: Hub;
  readonly connections: Connections;
  readonly realtimeAccess: RealtimeAccess;
  allowsOrigin(origin: string): boolean;
  readonly projects: Projects;
  readonly tickets: RealtimeTickets;
  readonly storage: StorageGuard;
  readonly idempotency: Idempotency;
}

export type RealtimeContext = RealtimeOwn & Pick<CoreServices, "log" | "realtime">;
