import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Metrics } from "../../core/metrics.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import type { Sender } from "./sender.ts";

/** Places with a circuit of their own that are kept in mind; the one that was used longest ago goes. */
const MAX_CIRCUITS = 1000;
const LONGEST_HOST_PAUSE_MS = 60_000;

/** One circuit a provider: providers are paused one by one, never the queue (contract 7, Push errors). */
export class Circuits {
  readonly #circuits = new Map<string, CircuitBreaker>();
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(clock: Clock, log: Logger, metrics: Metrics) {
    this.#clock = clock;
    this.#log = log;
    metrics.gauge("prism_delivery_paused", "Providers that are paused, by channel", () => {
      const paused = new Map<OutsideChannel, number>();
      for (const { channel } of this.paused()) paused.set(channel, (paused.get(channel) ?? 0) + 1);
      return [...paused].map(([channel, count]) => [{ channel }, count] as const);
    });
  }

  of({ channel, isProviderEach }: Sender, target: string): CircuitBreaker {
    return this.#get(isProviderEach ? `${channel} ${target}` : channel, channel);
  }

  /**
   * Of a host that targets of several users may share. To be told only whether it answered: what it answers to one of them says nothing of the
   * others. Its pauses are short, so that a user whose calls hang there cannot keep others from it for long.
   */
  ofHost(channel: OutsideChannel, host: string): CircuitBreaker {
    return this.#get(`${channel} host ${host}`, channel, LONGEST_HOST_PAUSE_MS);
  }

  #get(key: string, channel: OutsideChannel, longestPauseMs?: number): CircuitBreaker {
    const circuit = this.#circuits.get(key) ?? new CircuitBreaker(channel, this.#clock, this.#log, longestPauseMs);
    // Behind all others: those in front were used longest ago.
    this.#circuits.delete(key);
    this.#circuits.set(key, circuit);
    const [oldest] = this.#circuits.keys();
    if (this.#circuits.size > MAX_CIRCUITS && oldest !== undefined) this.#circuits.delete(oldest);
    return circuit;
  }

  /** Whether a channel's own provider answered when it was called last; null: it was not called since the start. */
  isReached(channel: OutsideChannel): boolean | null {
    return this.#circuits.get(channel)?.isReached ?? null;
  }

  /** What does not let everything through now. */
  paused(): readonly CircuitBreaker[] {
    return [...this.#circuits.values()].filter(({ state }) => state !== "closed");
  }
}
