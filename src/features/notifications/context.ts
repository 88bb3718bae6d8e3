import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import type { Route } from "../../http/route.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Committer } from "../../store/commit/committer.ts";
import type { Database } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { UserDirectory } from "../access/index.ts";
import type { SoundServices } from "../sounds/index.ts";
import type { RealtimeService } from "../streams/index.ts";
import type { Notifier, ServedChannels } from "./notifier.ts";

/** What the feature needs besides the services of every module. */
export interface NotificationsOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly committer: Committer;
  /** Routes of notifications that are sent later; they come between this feature's own. */
  readonly scheduledRoutes: readonly Route[];
  readonly channels: ServedChannels;
  readonly users: UserDirectory;
  readonly storage: StorageGuard;
  readonly idempotency: Idempotency;
  readonly sounds: SoundServices;
  readonly realtime: RealtimeService;
  readonly notify: Notifier;
}

export type NotificationsContext = NotificationsOwn & Pick<CoreServices, "events" | "audit">;
