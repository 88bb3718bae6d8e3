import { setTimeout as wait } from "node:timers/promises";
import { Bucket } from "../../../core/bucket.ts";
import type { Clock } from "../../../core/clock.ts";

/** A call waits this long for its turn; a longer wait is another attempt. */
const MAX_WAIT_MS = 5000;
/** Channels that sent lately. Those that could send at once are dropped first. */
const MAX_CHANNELS = 10_000;

interface State {
  readonly bucket: Bucket;
  /** The service asked for no message before. */
  pausedUntil: number;
}

/** What each channel may send now, in memory. */
export class Rates {
  readonly #clock: Clock;
  readonly #byChannel = new Map<string, State>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Takes one message of a channel's rate, after a short wait if that is enough.
   * @returns 0, or the whole milliseconds until a message may be sent
   */
  async take(
    id: string,
    { perSecond, burst }: { readonly perSecond: number; readonly burst: number },
    signal?: AbortSignal,
  ): Promise<number> {
    const now = this.#clock.elapsed();
    const state = this.#byChannel.get(id) ?? this.#add(id, new Bucket(burst, (burst / perSecond) * 1000, now), now);
    if (state.pausedUntil > now) return Math.ceil(state.pausedUntil - now);
    const waitMs = state.bucket.refill(now).waitMs(1);
    if (waitMs > MAX_WAIT_MS) return Math.ceil(waitMs);
    state.bucket.borrow(1);
    if (waitMs > 0) await wait(Math.ceil(waitMs), undefined, signal ? { signal } : {});
    return 0;
  }

  /** No message of the channel for this time. */
  pause(id: string, waitMs: number): void {
    const state = this.#byChannel.get(id);
    if (state) state.pausedUntil = this.#clock.elapsed() + waitMs;
  }

  forget(id: string): void {
    this.#byChannel.delete(id);
  }

  #add(id: string, bucket: Bucket, now: number): State {
    if (this.#byChannel.size >= MAX_CHANNELS)
      for (const [key, { bucket: other, pausedUntil }] of this.#byChannel)
        if (pausedUntil <= now && other.refill(now).isFull) this.#byChannel.delete(key);
    const state = { bucket, pausedUntil: 0 };
    this.#byChannel.set(id, state);
    return state;
  }
}
