import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Metrics } from "../../core/metrics.ts";
import type { SealedBox } from "../../core/sealed-box.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Presence } from "../../live/presence.ts";
import type { Database } from "../../store/database.ts";
import type { AuditService } from "../audit/index.ts";
import type { JobControl, JobRunner, JobService, WorkerLeases } from "../jobs/index.ts";
import type { Notifier } from "../notifications/index.ts";
import type { PusherApp } from "../pusher/index.ts";
import type { SoundServices } from "../sounds/index.ts";
import type { Channels } from "./channels.ts";
import type { Circuits } from "./circuits.ts";
import type { DeliveryLimits } from "./limits.ts";
import type { DeliveryMetrics } from "./metrics.ts";
import type { TargetQueues } from "./target-queues.ts";

/** What the steps of a delivery work with. */
export interface DeliveryContext {
  readonly database: Database;
  readonly jobs: JobService;
  readonly audit: AuditService;
  readonly box: SealedBox;
  readonly clock: Clock;
  readonly log: Logger;
  readonly presence: Presence;
  readonly settings: LiveSettings;
  readonly notify: Notifier;
  readonly channels: Channels;
  readonly circuits: Circuits;
  readonly limits: DeliveryLimits;
  readonly metrics: DeliveryMetrics;
  /** Attempts of this process, in order by target. */
  readonly queues: TargetQueues;
}

/** What the feature is opened with. */
export interface DeliveryParts extends Omit<DeliveryContext, "circuits" | "limits" | "metrics" | "queues"> {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly runner: JobRunner;
  readonly jobControl: JobControl;
  readonly workerLeases: WorkerLeases;
  readonly sounds: SoundServices;
  readonly pusher: PusherApp;
}
