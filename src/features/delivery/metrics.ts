import { type Metrics, SECONDS_BUCKETS } from "../../core/metrics.ts";
import type { DeliveryState, OutsideChannel } from "../../store/schema.ts";

/** A notification may wait for hours: until quiet hours end, or a provider comes back. */
const LATENCY_BUCKETS = [...SECONDS_BUCKETS, 30, 60, 300, 1800, 3600, 21_600, 86_400];

export type DeliveryResult = Extract<DeliveryState, "delivered" | "failed" | "dead" | "skipped">;

/** Attempts at deliveries, counted as they end. */
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
