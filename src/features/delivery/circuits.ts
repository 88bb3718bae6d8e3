import type { Config } from "../../config/load.ts";
import { Bucket } from "../../core/limits/bucket.ts";
import { recentlyUsed } from "../../core/limits/ttl-cache.ts";
import type { Logger } from "../../core/log.ts";
import type { Metrics } from "../../core/metrics.ts";
import { type Clock, type EpochMs, MINUTE_MS } from "../../core/time/clock.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import { PermanentError, RetryLater } from "../time/jobs/index.ts";
import { type DeliveryChannel, ProviderDown, Refused, TargetGone } from "./channel.ts";

/** Consecutive failures, none about one message alone, after which the provider counts as down. */
const FAILURES_TO_OPEN = 5;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 600_000;

/** Statistics of a circuit since the start. */
export interface CircuitFacts {
  readonly channel: OutsideChannel;
  readonly target: string;
  readonly state: "closed" | "open" | "half-open";
  readonly pausedUntil: EpochMs | null;
  readonly lastError: string | null;
  readonly lastSuccessAt: EpochMs | null;
  readonly lastFailureAt: EpochMs | null;
}

/**
 * Stops calls to a failing provider. `closed`: all calls pass. `open`: none until the pause is
 * over. `half-open`: one attempt passes; success closes the circuit, failure opens it for twice as
 * long.
 */
export class CircuitBreaker {
  readonly channel: OutsideChannel;
  /** The id of a webhook or device, or `host <name>`; empty for the channel's only provider. */
  readonly target: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #failures = 0;
  #lastError: string | null = null;
  #lastSuccessAt: EpochMs | null = null;
  #lastFailureAt: EpochMs | null = null;
  #pauseMs = FIRST_PAUSE_MS;
  /** Monotonic time. */
  #openUntil: number | null = null;
  /** Monotonic time of the last failure that opened it, or found it open. */
  #failedAt = 0;
  #isTrying = false;
  #isReached: boolean | null = null;
  readonly #longestPauseMs: number;

  constructor(channel: OutsideChannel, clock: Clock, log: Logger, longestPauseMs = LONGEST_PAUSE_MS, target = "") {
    this.channel = channel;
    this.target = target;
    this.#longestPauseMs = longestPauseMs;
    this.#clock = clock;
    this.#log = log;
  }

  get state(): "closed" | "open" | "half-open" {
    if (this.#openUntil === null) return "closed";
    return this.#openUntil > this.#clock.elapsed() || this.#isTrying ? "open" : "half-open";
  }

  /** Whether the last call got an answer; null before the first call. */
  get isReached(): boolean | null {
    return this.#isReached;
  }

  /** Since the start of the server, for operators. */
  get facts(): CircuitFacts {
    const { channel, target, state } = this;
    const leftMs = this.#openUntil === null ? 0 : Math.max(0, Math.ceil(this.#openUntil - this.#clock.elapsed()));
    return {
      channel,
      target,
      state,
      pausedUntil: leftMs > 0 ? this.#clock.now() + leftMs : null,
      lastError: this.#lastError,
      lastSuccessAt: this.#lastSuccessAt,
      lastFailureAt: this.#lastFailureAt,
    };
  }

  /** Ends a pause: the next attempts may run. */
  close(): void {
    this.#failures = 0;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#openUntil = null;
    this.#isTrying = false;
  }

  /**
   * Requests an attempt; its result must then be reported. @param longestMs limit of the pause for this
   * attempt, counted from the last failure. @returns 0 if it may run now, otherwise the time to wait.
   */
  waitMs(longestMs = Number.POSITIVE_INFINITY): number {
    if (this.#openUntil === null) return 0;
    const left = Math.ceil(Math.min(this.#openUntil, this.#failedAt + longestMs) - this.#clock.elapsed());
    if (left > 0) return left;
    if (this.#isTrying) return Math.min(FIRST_PAUSE_MS, longestMs);
    this.#isTrying = true;
    return 0;
  }

  /** The provider accepted the message. */
  accepted(): void {
    this.#lastSuccessAt = this.#clock.now();
    this.answered();
  }

  /** The provider answered, whatever it said about the message. */
  answered(): void {
    if (this.#openUntil !== null) this.#log.info({ channel: this.channel }, "provider recovered");
    this.#isReached = true;
    this.close();
  }

  /** The provider could not be reached or failed. */
  failed(error: Error): void {
    this.#note(error);
    this.#failures++;
    if (this.#isTrying || this.#failures >= FAILURES_TO_OPEN) this.open(error);
  }

  /** Reports a failed call: caused by the provider, this message, or the network. */
  refused(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    if (error instanceof ProviderDown || error instanceof Refused) this.open(cause);
    else if (error instanceof TargetGone || error instanceof RetryLater) this.answered();
    else if (error instanceof PermanentError) {
      // No reason for a pause, but the last call was no success.
      this.answered();
      this.#noteFailure(cause);
    } else this.failed(cause);
  }

  /** Reports an attempt that was abandoned without a result. */
  abandoned(): void {
    this.#isTrying = false;
  }

  /** Starts a pause unless one is running. */
  open(error: Error): void {
    const isTrial = this.#isTrying;
    this.#isTrying = false;
    this.#note(error);
    const now = this.#clock.elapsed();
    this.#failedAt = now;
    if (this.#openUntil !== null && this.#openUntil > now) return;
    if (isTrial) this.#pauseMs = Math.min(this.#longestPauseMs, this.#pauseMs * 2);
    this.#openUntil = now + this.#pauseMs;
    this.#failures = 0;
    this.#log.error({ channel: this.channel, pauseMs: this.#pauseMs, err: error }, "provider paused");
  }

  #note(error: Error): void {
    this.#isReached = false;
    this.#noteFailure(error);
  }

  #noteFailure({ message }: Error): void {
    this.#lastError = message;
    this.#lastFailureAt = this.#clock.now();
  }
}

/** Limit of circuits in memory; evicts the least recently used. */
const MAX_CIRCUITS = 1000;
const LONGEST_HOST_PAUSE_MS = 60_000;

/** One circuit per provider: providers are paused individually, never the queue. */
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

  of({ name, perTargetCircuit }: DeliveryChannel, target: string): CircuitBreaker {
    return perTargetCircuit ? this.#get(`${name} ${target}`, name, target) : this.#get(name, name, "");
  }

  /**
   * The circuit of a host that targets of several users may share. Counts only whether the host
   * answered, because its answer to one says nothing about the others. Its pauses are short, so
   * that a user whose calls hang cannot block others for long.
   */
  ofHost(channel: OutsideChannel, host: string): CircuitBreaker {
    return this.#get(`${channel} host ${host}`, channel, `host ${host}`, LONGEST_HOST_PAUSE_MS);
  }

  #get(key: string, channel: OutsideChannel, target: string, longestPauseMs?: number): CircuitBreaker {
    const circuit =
      this.#circuits.get(key) ?? new CircuitBreaker(channel, this.#clock, this.#log, longestPauseMs, target);
    // Moves it to the end of the map: the first ones are the least recently used.
    this.#circuits.delete(key);
    this.#circuits.set(key, circuit);
    const [oldest] = this.#circuits.keys();
    if (this.#circuits.size > MAX_CIRCUITS && oldest !== undefined) this.#circuits.delete(oldest);
    return circuit;
  }

  /** Ends the pauses of a channel: its settings have changed. */
  forget(channel: OutsideChannel): void {
    for (const [key, circuit] of this.#circuits) if (circuit.channel === channel) this.#circuits.delete(key);
  }

  /** Whether the last call of a channel's provider got an answer; null before the first call. */
  isReached(channel: OutsideChannel): boolean | null {
    return this.#circuits.get(channel)?.isReached ?? null;
  }

  /** Circuits of a channel that were used since the start. */
  ofChannel(channel: OutsideChannel): readonly CircuitBreaker[] {
    return [...this.#circuits.values()].filter((circuit) => circuit.channel === channel);
  }

  /** Circuits that are not closed. */
  paused(): readonly CircuitBreaker[] {
    return [...this.#circuits.values()].filter(({ state }) => state !== "closed");
  }
}

/** Notifications with a longer wait are merged. */
export const MAX_WAIT_MS = 5 * MINUTE_MS;
/** Limit of buckets in memory; least recently used ones are dropped and count as full. */
const MAX_USERS = 50_000;

/**
 * Rate limits of notifications: one bucket per user, one for all. With an empty bucket the next
 * token is borrowed and waited for. In memory only: after a restart the buckets are full.
 */
export class DeliveryLimits {
  readonly #clock: Clock;
  readonly #settings: () => Config["delivery"];
  readonly #users = recentlyUsed<string, Bucket>(MAX_USERS);
  #all: Bucket | undefined;

  constructor(clock: Clock, settings: () => Config["delivery"]) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /**
   * Takes a token for one notification of a user. @returns the wait for it; null when that is too
   * long and none was taken.
   */
  take(userId: string): number | null {
    const { perUser, perUserBurst, global } = this.#settings();
    const now = this.#clock.elapsed();
    const own = refilled(this.#users.get(userId), perUserBurst, perUser, now);
    const all = refilled(this.#all, global, global, now);
    const waitMs = Math.ceil(Math.max(own.waitMs(1), all.waitMs(1)));
    if (waitMs > MAX_WAIT_MS) return null;
    own.borrow(1);
    all.borrow(1);
    this.#users.set(userId, own);
    this.#all = all;
    return waitMs;
  }
}

/** The refilled bucket; a new one if there is none or the settings changed. */
function refilled(bucket: Bucket | undefined, burst: number, perMinute: number, now: number): Bucket {
  const windowMs = (burst * MINUTE_MS) / perMinute;
  const isSame = bucket?.limit === burst && bucket.windowMs === windowMs;
  return isSame ? bucket.refill(now) : new Bucket(burst, windowMs, now);
}
