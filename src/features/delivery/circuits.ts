import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Metrics } from "../../core/metrics.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import { PermanentError, RetryLater } from "../jobs/index.ts";
import { type Channel, ProviderDown, TargetGone } from "./channel.ts";

/**
 * So many failures in a row, none of them about one message alone, and the provider is taken to be
 * down.
 */
const FAILURES_TO_OPEN = 5;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 600_000;

/**
 * Keeps a provider that is down from being called for every message. `closed`: everything goes.
 * `open`: nothing goes until the pause is over. `half-open`: one attempt goes; if the provider
 * answers the circuit closes, if not it opens for twice as long.
 */
export class CircuitBreaker {
  readonly channel: OutsideChannel;
  readonly #clock: Clock;
  readonly #log: Logger;
  #failures = 0;
  #pauseMs = FIRST_PAUSE_MS;
  /** Monotonic time. */
  #openUntil: number | null = null;
  #isTrying = false;
  #isReached: boolean | null = null;
  readonly #longestPauseMs: number;

  constructor(channel: OutsideChannel, clock: Clock, log: Logger, longestPauseMs = LONGEST_PAUSE_MS) {
    this.channel = channel;
    this.#longestPauseMs = longestPauseMs;
    this.#clock = clock;
    this.#log = log;
  }

  get state(): "closed" | "open" | "half-open" {
    if (this.#openUntil === null) return "closed";
    return this.#openUntil > this.#clock.elapsed() || this.#isTrying ? "open" : "half-open";
  }

  /** Whether the provider answered when it was called last; null: it was not called yet. */
  get isReached(): boolean | null {
    return this.#isReached;
  }

  /**
   * Asks to make an attempt; its end must then be noted. @returns 0 if it may be made now, else how
   * long to wait.
   */
  waitMs(): number {
    if (this.#openUntil === null) return 0;
    const left = Math.ceil(this.#openUntil - this.#clock.elapsed());
    if (left > 0) return left;
    if (this.#isTrying) return FIRST_PAUSE_MS;
    this.#isTrying = true;
    return 0;
  }

  /** The provider has answered, whatever it said about the message. */
  answered(): void {
    if (this.#openUntil !== null) this.#log.info({ channel: this.channel }, "a provider answers again");
    this.#isReached = true;
    this.#failures = 0;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#openUntil = null;
    this.#isTrying = false;
  }

  /** The provider could not be reached, or could not do its work. */
  failed(error: Error): void {
    this.#isReached = false;
    this.#failures++;
    if (this.#isTrying || this.#failures >= FAILURES_TO_OPEN) this.open(error);
  }

  /** What a call has failed with: of the provider, of this message alone, or of the way there. */
  refused(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    if (error instanceof ProviderDown) this.open(cause);
    else if (error instanceof TargetGone || error instanceof PermanentError || error instanceof RetryLater)
      this.answered();
    else this.failed(cause);
  }

  /** Neither: an attempt that was given up before it came to anything. */
  abandoned(): void {
    this.#isTrying = false;
  }

  /** A pause begins, unless one is under way. */
  open(error: Error): void {
    const isTrial = this.#isTrying;
    this.#isTrying = false;
    this.#isReached = false;
    const now = this.#clock.elapsed();
    if (this.#openUntil !== null && this.#openUntil > now) return;
    if (isTrial) this.#pauseMs = Math.min(this.#longestPauseMs, this.#pauseMs * 2);
    this.#openUntil = now + this.#pauseMs;
    this.#failures = 0;
    this.#log.error({ channel: this.channel, pauseMs: this.#pauseMs, err: error }, "a provider is paused");
  }
}

/** Circuits that are kept in memory; the one that was used longest ago goes. */
const MAX_CIRCUITS = 1000;
const LONGEST_HOST_PAUSE_MS = 60_000;

/** One circuit a provider: providers are paused one by one, never the queue. */
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

  of({ name, perTargetCircuit }: Channel, target: string): CircuitBreaker {
    return this.#get(perTargetCircuit ? `${name} ${target}` : name, name);
  }

  /**
   * Of a host that targets of several users may share. It counts only whether the host answered:
   * what it answers to one of them says nothing of the others. Its pauses are short, so that a user
   * whose calls hang there cannot keep others from it for long.
   */
  ofHost(channel: OutsideChannel, host: string): CircuitBreaker {
    return this.#get(`${channel} host ${host}`, channel, LONGEST_HOST_PAUSE_MS);
  }

  #get(key: string, channel: OutsideChannel, longestPauseMs?: number): CircuitBreaker {
    const circuit = this.#circuits.get(key) ?? new CircuitBreaker(channel, this.#clock, this.#log, longestPauseMs);
    // Last in the map: the first ones were used longest ago.
    this.#circuits.delete(key);
    this.#circuits.set(key, circuit);
    const [oldest] = this.#circuits.keys();
    if (this.#circuits.size > MAX_CIRCUITS && oldest !== undefined) this.#circuits.delete(oldest);
    return circuit;
  }

  /**
   * Whether a channel's own provider answered when it was called last; null: it was not called
   * since the start.
   */
  isReached(channel: OutsideChannel): boolean | null {
    return this.#circuits.get(channel)?.isReached ?? null;
  }

  /** What does not let everything through now. */
  paused(): readonly CircuitBreaker[] {
    return [...this.#circuits.values()].filter(({ state }) => state !== "closed");
  }
}
