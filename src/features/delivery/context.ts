import { type Metrics, SECONDS_BUCKETS } from "../../core/metrics.ts";
import type { Context, Uses } from "../../module/feature.ts";
import type { DeliveryState, OutsideChannel } from "../../store/schema.ts";
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

/** How incidents handle the alerts of an event. */
export interface EventAlerts {
  /** The alerts fire, and silences match all of them. */
  readonly areSilenced: boolean;
  /** Users whom their incidents have notified, or notify next. */
  readonly people: ReadonlySet<string>;
}

/** Reads {@link EventAlerts}; opened later, because alerts use delivery. */
export type ReadEventAlerts = (event: {
  readonly projectId: string;
  /** The id of the alert that the event was stored with, else another id. */
  readonly correlationId: string;
  /** Rules with a key for the event: they may have opened alerts. */
  readonly rules: readonly { readonly ruleId: string; readonly key: string }[];
}) => Promise<EventAlerts | null>;

/** Dependencies of the steps of a delivery. */
export interface DeliveryContext
  extends Uses<"db" | "jobs" | "audit" | "box" | "clock" | "log" | "presence" | "settings" | "notify" | "channels"> {
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
export type DeliveryParts = Context<
  "jobs" | "runner" | "jobControl" | "workerLeases" | "notify" | "channels" | "sounds" | "pusher" | "webPush"
>;
