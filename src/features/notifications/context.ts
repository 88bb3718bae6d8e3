import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Committer } from "../../store/commit/committer.ts";
import type { Database } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { UserDirectory } from "../access/index.ts";
import type { Channels } from "../delivery/index.ts";
import type { SoundServices } from "../sounds/index.ts";
import type { RealtimeService } from "../streams/index.ts";
import type { PendingTimers } from "../timers/index.ts";
import type { Notifier } from "./notifier.ts";

/** What the feature needs besides the services of every module. */
export interface NotificationsOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly committer: Committer;
  readonly pendingTimers: PendingTimers;
  readonly channels: Channels;
  readonly users: UserDirectory;
  readonly storage: StorageGuard;
  readonly idempotency: Idempotency;
  readonly sounds: SoundServices;
  readonly realtime: RealtimeService;
  readonly notify: Notifier;
}

export type NotificationsContext = NotificationsOwn & Pick<CoreServices, "events" | "audit">;
