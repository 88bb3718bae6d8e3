import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Connections } from "../../live/connections.ts";
import type { Hub } from "../../live/hub.ts";
import type { PusherRegistry } from "../../live/protocols/pusher/pusher-registry.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { RealtimeService } from "../streams/index.ts";
import type { PusherApp } from "./pusher-app.ts";

/** What the feature needs besides the services of every module. */
export interface PusherOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly hub: Hub;
  readonly connections: Connections;
  readonly storage: StorageGuard;
  readonly pusher: PusherApp;
  readonly pusherRegistry: PusherRegistry;
  readonly realtime: RealtimeService;
}

export type PusherContext = PusherOwn & Pick<CoreServices, "scheduler" | "events" | "log">;
