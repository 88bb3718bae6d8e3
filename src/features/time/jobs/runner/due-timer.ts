import type { Clock, EpochMs } from "../../../../core/time/clock.ts";

/**
 * Longer waits are split: setTimeout takes 31 bits of milliseconds, and it counts elapsed time, so
 * a clock set forward or a machine that slept is noticed within this time.
 */
const MAX_WAIT_MS = 60_000;
/** How often the clock is read, so that a step is noticed before many rows are made. */
const READ_CLOCK_EVERY_MS = 1000;
/** Smaller differences are clock drift and timer inaccuracy. */
export const CLOCK_TOLERANCE_MS = 1000;

/** A backward step of the wall clock: its size, and the time the clock would show without it. */
export interface SetBack {
  readonly byMs: number;
  readonly wouldBe: EpochMs;
  /** Rows created after this instant, by the new clock, may have been made after the step. */
  readonly madeFrom: EpochMs;
}

export interface DueTimerOptions {
  readonly clock: Clock;
  /** When the next item is due; null for none. */
  readonly readNext: () => EpochMs | null;
  /** Called when an item is due, or the clock was set back. */
  readonly wake: () => void;
  /** Called with the size of a backward step; for the log. */
  readonly onSetBack: (byMs: number) => void;
  /** How long before the due time `wake` is called. */
  readonly aheadMs?: () => number;
}

/**
 * Wakes its owner when the next waiting item is due, so that the table is not polled. Detects
 * backward steps of the wall clock by comparing it with elapsed time. Forward steps and sleep need
 * no correction.
 */
export class DueTimer {
  readonly #options: DueTimerOptions;
  #nextAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #reading: NodeJS.Timeout | null = null;
  #isRunning = false;
  /** Last reading of both clocks. */
  #wall: EpochMs;
  #elapsed: number;
  /** A backward step that the owner has not taken yet. */
  #setBack: SetBack | null = null;

  constructor(options: DueTimerOptions) {
    this.#options = options;
    this.#wall = options.clock.now();
    this.#elapsed = options.clock.elapsed();
  }

  start(): void {
    this.#isRunning = true;
    this.#reading = setInterval(() => this.now(), READ_CLOCK_EVERY_MS).unref();
    this.read();
    this.arm();
  }

  stop(): void {
    this.#isRunning = false;
    this.disarm();
    if (this.#reading) clearInterval(this.#reading);
  }

  /** Reads when the next item is due. */
  read(): void {
    this.#nextAt = this.#options.readNext() ?? Number.POSITIVE_INFINITY;
  }

  /** An item with this due time was committed. */
  note(at: EpochMs): void {
    this.#nextAt = Math.min(this.#nextAt, at);
  }

  /** Wakes at this time, whatever is due. */
  retryAt(at: EpochMs): void {
    this.#nextAt = at;
  }

  arm(): void {
    this.disarm();
    if (!this.#isRunning || this.#nextAt === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.min(Math.max(0, this.#nextAt - this.#aheadMs - this.now()), MAX_WAIT_MS);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.isDue(this.now())) this.#options.wake();
      else this.arm();
    }, waitMs);
  }

  disarm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Whether the next item is due or nearly due. */
  isDue(now: EpochMs): boolean {
    return this.#nextAt - this.#aheadMs <= now;
  }

  /** The wall clock. Wakes the owner when it was set back. */
  now(): EpochMs {
    const wall = this.#readClock();
    if (this.#setBack && this.#isRunning) this.#options.wake();
    return wall;
  }

  /** @returns the sum of backward steps since the last call; null for none */
  takeSetBack(): SetBack | null {
    this.#readClock();
    const setBack = this.#setBack;
    this.#setBack = null;
    return setBack;
  }

  #readClock(): EpochMs {
    const { clock, onSetBack } = this.#options;
    const wall = clock.now();
    const elapsed = clock.elapsed();
    const sinceMs = elapsed - this.#elapsed;
    const byMs = Math.round(this.#wall + sinceMs - wall);
    this.#wall = wall;
    this.#elapsed = elapsed;
    if (byMs > CLOCK_TOLERANCE_MS) {
      onSetBack(byMs);
      this.returnSetBack({ byMs, wouldBe: wall + byMs, madeFrom: Math.floor(wall - sinceMs) });
    }
    return wall;
  }

  /** Returns a step that could not be handled, or adds one that the caller detected. */
  returnSetBack(step: SetBack): void {
    const earlier = this.#setBack ?? { byMs: 0, wouldBe: 0, madeFrom: step.madeFrom };
    this.#setBack = {
      byMs: step.byMs + earlier.byMs,
      wouldBe: Math.max(step.wouldBe, earlier.wouldBe),
      madeFrom: Math.min(step.madeFrom, earlier.madeFrom),
    };
  }

  get #aheadMs(): number {
    return this.#options.aheadMs?.() ?? 0;
  }
}
