import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import { PermanentError, RetryLater } from "../jobs/index.ts";
import { DeadTarget, ProviderDown } from "./sender.ts";

/** So many failures in a row, none of them about one message alone, and the provider is taken to be down. */
const FAILURES_TO_OPEN = 5;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 600_000;

/**
 * Keeps a provider that is down from being called for every message. `closed`: everything goes. `open`: nothing goes until the pause is over.
 * `half-open`: one attempt goes; if the provider answers the circuit closes, if not it opens for twice as long.
 */
export class CircuitBreaker {
  readonly channel: OutsideChannel;
  readonly #clock: Clock;
  readonly #log: Logger;
  #failures = 0;
  #pauseMs = FIRST_PAUSE_MS;
  /** On the clock of time that passes: whatever the wall clock is set to, a pause is as long as it is. */
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

  /** Asks to make an attempt, whose end must then be told. @returns 0 if it may be made now, else how long to wait. */
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
    else if (error instanceof DeadTarget || error instanceof PermanentError || error instanceof RetryLater)
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
