import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import { type Metrics, SECONDS_BUCKETS } from "../../core/metrics.ts";
import type { SealedBox } from "../../core/sealed-box.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Presence } from "../../live/presence.ts";
import type { Database } from "../../store/database.ts";
import type { DeliveryState, OutsideChannel } from "../../store/schema.ts";
import type { AuditService } from "../audit/index.ts";
import type { JobControl, JobRunner, JobService, WorkerLeases } from "../jobs/index.ts";
import type { Notifier } from "../notifications/index.ts";
import type { PusherApp } from "../pusher/index.ts";
import type { SoundServices } from "../sounds/index.ts";
import type { WebPushSender } from "./channels/webpush/sender.ts";
import type { Channels } from "./channels.ts";
import type { Circuits } from "./circuits.ts";
import type { DeliveryLimits } from "./limits.ts";
import type { PageSender } from "./pages/sender.ts";
import type { TargetQueues } from "./target-queues.ts";

/** A notification may wait for hours, for quiet hours to end or a provider to recover. */
const LATENCY_BUCKETS = [...SECONDS_BUCKETS, 30, 60, 300, 1800, 3600, 21_600, 86_400];

type DeliveryResult = Extract<DeliveryState, "delivered" | "failed" | "dead" | "skipped">;

export class DeliveryMetrics {
  readonly #total;
  readonly #latency;

  constructor(metrics: Metrics) {
    this.#total = metrics.counter("prism_delivery_total", "Attempts to deliver by channel and result");
    this.#latency = metrics.histogram(
      "prism_delivery_latency_seconds",
      "From a notification to its delivery by a channel that leads out",
      LATENCY_BUCKETS,
    );
  }

  count(channel: OutsideChannel, result: DeliveryResult, times = 1): void {
    this.#total({ channel, result }).add(times);
  }

  delivered(channel: OutsideChannel, latencyMs: number): void {
    this.count(channel, "delivered");
    this.#latency({ channel }).observe(Math.max(0, latencyMs) / 1000);
  }
}

/** What incidents do about the alerts of an event. */
export interface EventAlerts {
  /** The alerts fire, and silences match all of them. */
  readonly areSilenced: boolean;
  /** Users whom their incidents have notified, or notify next. */
  readonly people: ReadonlySet<string>;
}

/** Reads {@link EventAlerts}; connected at the wiring, because alerts use delivery. */
export type ReadEventAlerts = (event: {
  readonly projectId: string;
  /** The id of the alert that the event was stored with, else another id. */
  readonly correlationId: string;
  /** Rules with a key for the event: they may have opened alerts. */
  readonly rules: readonly { readonly ruleId: string; readonly key: string }[];
}) => Promise<EventAlerts | null>;

/** Dependencies of the steps of a delivery. */
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
  /** This process's attempts, ordered by target. */
  readonly queues: TargetQueues;
  readonly pages: PageSender;
  /** Whom incidents notify of the alerts of an event. */
  readonly eventAlerts: ReadEventAlerts;
}

/** Dependencies for opening the feature. */
export interface DeliveryParts
  extends Omit<DeliveryContext, "circuits" | "limits" | "metrics" | "queues" | "pages" | "eventAlerts"> {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly runner: JobRunner;
  readonly jobControl: JobControl;
  readonly workerLeases: WorkerLeases;
  readonly sounds: SoundServices;
  readonly pusher: PusherApp;
  readonly webPush: WebPushSender;
}
