import { Bucket } from "../../../core/limits/bucket.ts";
import type { Clock } from "../../../core/time/clock.ts";

/** Channels that sent lately. Those that could send at once are dropped first. */
const MAX_CHANNELS = 10_000;
/** Messages whose place is remembered, of all channels. */
const MAX_WAITING = 100_000;
/** A message that does not come at its time was cancelled, or is sent elsewhere. */
const LOST_MS = 10_000;
/** It comes at its time by the wall clock, which differs a little from elapsed time. */
const EARLY_MS = 5;

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

interface Place {
  readonly ordinal: number;
  /** When it may come, in elapsed time. */
  slotAt: number;
}

interface State {
  bucket: Bucket;
  /** The service asked for no message before. */
  pausedUntil: number;
  /** The same, if its answer named the time: pages wait for no other. */
  namedUntil: number;
  /** Messages that wait, in the order in which they first came. */
  readonly line: Map<string, Place>;
  nextOrdinal: number;
}

/**
 * The rates of channels, in memory. Nothing here waits: a caller whose turn is later
 * returns its message to its queue until then. Pages come first; the other messages of a channel
 * keep their order, and each has a time at which it comes back.
 */
export class Rates {
  readonly #clock: Clock;
  readonly #byChannel = new Map<string, State>();
  #waiting = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes one message of a channel's rate, for a page. @returns 0, or whole ms until there is one */
  take(id: string, rate: Rate): number {
    const now = this.#clock.elapsed();
    const state = this.#stateOf(id, rate, now);
    const waitMs = waitOf(state.bucket, state.namedUntil, rate, now, 1);
    if (waitMs === 0) state.bucket.borrow(1);
    return waitMs;
  }

  /**
   * Takes one for a message that is no page, in the order of the messages.
   * @param pages that may be sent now: they go first
   * @returns 0, or whole ms until its turn, which it keeps
   */
  takeAfterPages(id: string, rate: Rate, messageId: string, pages = 0): number {
    const now = this.#clock.elapsed();
    const state = this.#stateOf(id, rate, now);
    this.#dropLost(state, now);
    const place = state.line.get(messageId);
    if (place && place.slotAt > now + EARLY_MS) return Math.ceil(place.slotAt - now);
    const [first] = state.line.values();
    const ordinal = place?.ordinal ?? state.nextOrdinal;
    const before = (first === undefined ? 0 : ordinal - first.ordinal) + pages;
    const waitMs = waitOf(state.bucket, state.pausedUntil, rate, now, 1 + before);
    if (before === 0 && waitMs <= EARLY_MS) {
      this.#leave(state, messageId);
      state.bucket.borrow(1);
      return 0;
    }
    // A place before it may be free by now, but its message has yet to come.
    const slotAt = now + Math.max(1, waitMs);
    if (place) place.slotAt = slotAt;
    else this.#join(state, messageId, slotAt);
    return Math.ceil(slotAt - now);
  }

  /** Another request of a message that had its turn. */
  spend(id: string): void {
    this.#byChannel.get(id)?.bucket.borrow(1);
  }

  /**
   * No message of the channel for this time; then one at a time.
   * @param isGuess the service named no time: pages go on, one at a time
   */
  pause(id: string, waitMs: number, isGuess = false): void {
    const state = this.#byChannel.get(id);
    if (!state) return;
    const { limit, windowMs } = state.bucket;
    const now = this.#clock.elapsed();
    state.pausedUntil = now + waitMs;
    if (!isGuess) state.namedUntil = state.pausedUntil;
    state.bucket = new Bucket(limit, windowMs, isGuess ? now : state.pausedUntil);
    state.bucket.borrow(limit - 1);
  }

  forget(id: string): void {
    this.#waiting -= this.#byChannel.get(id)?.line.size ?? 0;
    this.#byChannel.delete(id);
  }

  #join(state: State, messageId: string, slotAt: number): void {
    const ordinal = state.nextOrdinal++;
    if (this.#waiting >= MAX_WAITING) return;
    state.line.set(messageId, { ordinal, slotAt });
    this.#waiting += 1;
  }

  #leave(state: State, messageId: string): void {
    if (state.line.delete(messageId)) this.#waiting -= 1;
  }

  #dropLost(state: State, now: number): void {
    for (const [messageId, { slotAt }] of state.line) {
      if (slotAt + LOST_MS > now) return;
      this.#leave(state, messageId);
    }
  }

  #stateOf(id: string, { perSecond, burst }: Rate, now: number): State {
    const known = this.#byChannel.get(id);
    if (known) return known;
    if (this.#byChannel.size >= MAX_CHANNELS)
      for (const [key, { bucket, pausedUntil, line }] of this.#byChannel)
        if (pausedUntil <= now && line.size === 0 && bucket.refill(now).isFull) this.#byChannel.delete(key);
    const bucket = new Bucket(burst, (burst / perSecond) * 1000, now);
    const state: State = { bucket, pausedUntil: 0, namedUntil: 0, line: new Map(), nextOrdinal: 0 };
    this.#byChannel.set(id, state);
    return state;
  }
}

/** Whole ms until the channel may send this many messages. */
function waitOf(bucket: Bucket, pausedUntil: number, { perSecond }: Rate, now: number, count: number): number {
  const startAt = Math.max(now, pausedUntil);
  const missing = count - bucket.refill(now).remaining;
  return Math.ceil(startAt - now + Math.max(0, (missing * 1000) / perSecond));
}
