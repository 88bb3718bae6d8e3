import { AsyncResource } from "node:async_hooks";
import type { Clock, EpochMs } from "./clock.ts";

/** How often the clock is read, so that a step is noticed before many rows are made. */
const READ_CLOCK_EVERY_MS = 1000;
/** Smaller differences are clock drift and timer inaccuracy. */
const TOLERANCE_MS = 1000;
/** A longer step forward counts as a down time: what was due meanwhile may have been renewed. */
const JUMP_MS = 60_000;

/**
 * A clock that never goes back while the process runs. After a backward step of the wall clock it
 * continues from where it was, so that waits keep their length. It follows a forward step, and
 * reports one over a minute (a machine that slept, a corrected clock) to its listeners.
 */
export class SteadyClock implements Clock {
  readonly #wall: Clock;
  readonly #listeners = new Set<(jumpMs: number) => void>();
  /** How far this clock is ahead of the wall clock. */
  #aheadMs = 0;
  #lastWall: EpochMs;
  #lastElapsed: number;

  constructor(wall: Clock) {
    this.#wall = wall;
    this.#lastWall = wall.now();
    this.#lastElapsed = wall.elapsed();
  }

  now(): EpochMs {
    const wall = this.#wall.now();
    const elapsed = this.#wall.elapsed();
    const stepMs = Math.round(wall - this.#lastWall - (elapsed - this.#lastElapsed));
    this.#lastWall = wall;
    this.#lastElapsed = elapsed;
    if (stepMs < -TOLERANCE_MS) this.#aheadMs -= stepMs;
    else if (stepMs > TOLERANCE_MS) this.#forward(stepMs);
    return wall + this.#aheadMs;
  }

  elapsed(): number {
    return this.#wall.elapsed();
  }

  /** An instant of the wall clock, such as one from another machine, as an instant of this clock. */
  fromWall(at: EpochMs): EpochMs {
    this.now();
    return at + this.#aheadMs;
  }

  /** An instant of this clock as one of the wall clock, such as the due time of a job. */
  toWall(at: EpochMs): EpochMs {
    return at - this.fromWall(0);
  }

  /** `fn` is called after a step forward of over a minute, before anything becomes due by it. */
  onJump(fn: (jumpMs: number) => void): void {
    this.#listeners.add(fn);
  }

  #forward(stepMs: number): void {
    // The part that undoes an earlier step back moves nothing.
    const undone = Math.min(stepMs, this.#aheadMs);
    this.#aheadMs -= undone;
    const jumpMs = stepMs - undone;
    if (jumpMs > JUMP_MS) for (const fn of this.#listeners) fn(jumpMs);
  }
}

/** Due work of a feature: the app loads it with the feature's memory, and begins and ends it with its timers. */
export interface DueWork {
  /** Reads the due times. Nothing is handled. */
  load(): void;
  start(): void;
  stop(): Promise<void>;
}

export interface DueTimesOptions<K> {
  /** Due times are instants of this clock. One that goes back, such as the wall clock, makes waits longer. */
  readonly clock: Pick<Clock, "now">;
  /** The due times in the tables; absent: the owner sets them when it reads its memory. Later ones come by effects. */
  readonly read?: () => Iterable<readonly [key: K, at: EpochMs | null]>;
  /**
   * Handles due keys, oldest first. One call runs at a time. It sets the next due time of each key,
   * or deletes the key; keys that it leaves unchanged, also by an error, are due again a second
   * later. If it throws, it is called once more with each key alone, so that one does not hold the others.
   */
  readonly handle: (keys: readonly K[]) => Promise<void>;
  /** @param keys those for which it threw */
  readonly onError: (error: unknown, keys: readonly K[]) => void;
  /** Keys per call. */
  readonly batch?: number;
  /** The keys of one call in their own order. */
  readonly inOrder?: boolean;
}

const RETRY_MS = 1000;
const BATCH = 200;
/** Superseded entries that may remain in the heap besides one for each key. */
const MAX_STALE = 64;

/**
 * Due times by key, in memory, with one timer. Moving a due time later costs one map write: its
 * entry in the heap is moved when it comes up. The heap has at most twice as many entries as keys.
 */
export class DueTimes<K> implements DueWork {
  readonly #options: DueTimesOptions<K>;
  readonly #times = new Map<K, EpochMs>();
  /** A heap in two arrays, which take a third of the memory of objects. */
  readonly #heap: EpochMs[] = [];
  readonly #keys: K[] = [];
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #reading: NodeJS.Timeout | null = null;
  #handling: Promise<void> | null = null;
  /** Not in the context of the caller that set the due time. */
  readonly #handleOutside = AsyncResource.bind(() => this.#handleDue());
  #isRunning = false;
  /** Keys whose time has changed since the running call began, also back to what it was. */
  #moved: Set<K> | null = null;

  constructor(options: DueTimesOptions<K>) {
    this.#options = options;
  }

  get size(): number {
    return this.#times.size;
  }

  /** Whether it handles what is due. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  load(): void {
    for (const [key, at] of this.#options.read?.() ?? []) this.set(key, at);
  }

  /** Handles what is due from now on. */
  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // The timer counts elapsed time; this notices a step of the clock.
    this.#reading = setInterval(() => void this.check(), READ_CLOCK_EVERY_MS).unref();
    void this.check();
  }

  /** Handles nothing more. Resolves when the running call is done. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#disarm();
    if (this.#reading) clearInterval(this.#reading);
    await this.#handling;
  }

  at(key: K): EpochMs | undefined {
    return this.#times.get(key);
  }

  /** @param at null: never */
  set(key: K, at: EpochMs | null): void {
    if (at === null) {
      this.delete(key);
      return;
    }
    const earlier = this.#times.get(key);
    this.#times.set(key, at);
    if (earlier !== at) this.#moved?.add(key);
    // Its entry comes up before the new time, and is moved then.
    if (earlier !== undefined && earlier <= at) return;
    this.#push(at, key);
    this.#limit();
    this.#arm();
  }

  delete(key: K): void {
    this.#times.delete(key);
  }

  /** Waits again for the earliest: the clock may have been set forward since it began to wait. */
  rearm(): void {
    this.#disarm();
    this.#arm();
  }

  /** Handles what is due now. Resolves when the heap has nothing that is due. */
  async check(): Promise<void> {
    // A running call may have read the clock earlier.
    await this.#handling;
    if (!this.#isRunning) return;
    this.#handling ??= this.#handleOutside().finally(() => {
      this.#handling = null;
      this.#arm();
    });
    await this.#handling;
  }

  async #handleDue(): Promise<void> {
    while (this.#isRunning) {
      const keys = this.#take();
      if (keys.length === 0) return;
      const moved = new Set<K>();
      this.#moved = moved;
      await this.#handle(keys);
      this.#moved = null;
      const retryAt = this.#options.clock.now() + RETRY_MS;
      for (const key of keys) {
        const at = this.#times.get(key);
        if (at === undefined) continue;
        if (!moved.has(key)) this.#times.set(key, retryAt);
        this.#push(this.#times.get(key) ?? at, key);
      }
      this.#limit();
    }
  }

  async #handle(keys: readonly K[]): Promise<void> {
    const { handle, onError } = this.#options;
    const failed: K[] = [];
    let first: unknown;
    const note = (error: unknown, key: K): void => {
      if (failed.push(key) === 1) first = error;
    };
    await handle(keys).catch(async (error: unknown) => {
      if (keys.length === 1) note(error, keys[0] as K);
      else for (const key of keys) if (this.#isRunning) await handle([key]).catch((own: unknown) => note(own, key));
    });
    if (failed.length > 0) onError(first, failed);
  }

  /** Removes the entries of due keys from the heap. */
  #take(): K[] {
    const now = this.#options.clock.now();
    const keys = new Set<K>();
    const max = this.#options.batch ?? BATCH;
    while (keys.size < max && (this.#heap[0] ?? Number.POSITIVE_INFINITY) <= now) {
      const key = this.#pop();
      const at = this.#times.get(key);
      if (at === undefined) continue;
      if (at <= now) keys.add(key);
      else this.#push(at, key);
    }
    return this.#options.inOrder ? [...keys].sort() : [...keys];
  }

  #arm(): void {
    if (!this.#isRunning || this.#handling) return;
    const next = this.#heap[0] ?? Number.POSITIVE_INFINITY;
    if (this.#timer && next >= this.#timerAt) return;
    this.#disarm();
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timerAt = next;
    const waitMs = Math.min(Math.max(0, next - this.#options.clock.now()), JUMP_MS);
    this.#timer = setTimeout(() => {
      this.#disarm();
      void this.check();
    }, waitMs);
    this.#timer.unref();
  }

  #disarm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #limit(): void {
    if (this.#heap.length <= 2 * this.#times.size + MAX_STALE) return;
    this.#heap.length = 0;
    this.#keys.length = 0;
    for (const [key, at] of this.#times) this.#push(at, key);
  }

  #push(at: EpochMs, key: K): void {
    const heap = this.#heap;
    let position = heap.push(at) - 1;
    this.#keys.push(key);
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if ((heap[parent] as EpochMs) <= at) break;
      this.#move(parent, position);
      position = parent;
    }
    this.#put(position, at, key);
  }

  /** Removes the earliest entry. Call it only if there is one. */
  #pop(): K {
    const heap = this.#heap;
    const first = this.#keys[0] as K;
    const lastAt = heap.pop() as EpochMs;
    const lastKey = this.#keys.pop() as K;
    if (heap.length === 0) return first;
    let position = 0;
    for (let child = 1; child < heap.length; child = 2 * position + 1) {
      const right = heap[child + 1];
      if (right !== undefined && right < (heap[child] as EpochMs)) child++;
      if ((heap[child] as EpochMs) >= lastAt) break;
      this.#move(child, position);
      position = child;
    }
    this.#put(position, lastAt, lastKey);
    return first;
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#heap[from] as EpochMs, this.#keys[from] as K);
  }

  #put(position: number, at: EpochMs, key: K): void {
    this.#heap[position] = at;
    this.#keys[position] = key;
  }
}
