import type { Clock, EpochMs } from "../../../core/clock.ts";

/**
 * Longer waits are armed again: setTimeout takes 31 bits of milliseconds, and it counts elapsed
 * time, so that a clock that is set forward, or a machine that slept, is noticed within this time.
 */
const MAX_WAIT_MS = 60_000;
/** How often the clock is read, so that little is made between a step of it and its notice. */
const READ_CLOCK_EVERY_MS = 1000;
/** Less than this is the drift that is corrected all the time, and the inaccuracy of timers. */
export const CLOCK_TOLERANCE_MS = 1000;

/**
 * What happened to the wall clock: by how much it was set back, and what it would say had it not
 * been.
 */
export interface SetBack {
  readonly byMs: number;
  readonly wouldBe: EpochMs;
  /**
   * What was made from this instant on, by the clock as it is, may have been made after the step.
   */
  readonly madeFrom: EpochMs;
}

export interface DueTimerOptions {
  readonly clock: Clock;
  /** When the next one is due; null when none waits. */
  readonly readNext: () => EpochMs | null;
  /** Something is due, or the clock was set back. */
  readonly wake: () => void;
  /** The clock was set back by so much; for the log. */
  readonly onSetBack: (byMs: number) => void;
  /** By how much `wake` comes before its time. */
  readonly aheadMs?: () => number;
}

/**
 * Wakes its owner when the next of something that waits is due, so that nothing asks the table
 * before; and notices when the wall clock is set back, by comparing it with the time that has
 * passed. A clock that is set forward, or a sleep of the machine, needs no correction.
 */
export class DueTimer {
  readonly #options: DueTimerOptions;
  #nextAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #reading: NodeJS.Timeout | null = null;
  #isRunning = false;
  /** The last reading of both clocks. */
  #wall: EpochMs;
  #elapsed: number;
  /** The wall clock was set back, and the owner has not been given it yet. */
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

  /** Asks when the next one is due. */
  read(): void {
    this.#nextAt = this.#options.readNext() ?? Number.POSITIVE_INFINITY;
  }

  /** One that has been committed is due then. */
  note(at: EpochMs): void {
    this.#nextAt = Math.min(this.#nextAt, at);
  }

  /** The next look is at this time, whatever waits. */
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

  /** Whether the next one is due, or nearly so. */
  isDue(now: EpochMs): boolean {
    return this.#nextAt - this.#aheadMs <= now;
  }

  /** The wall clock; the owner is woken when it was set back. */
  now(): EpochMs {
    const wall = this.#readClock();
    if (this.#setBack && this.#isRunning) this.#options.wake();
    return wall;
  }

  /** @returns the steps back since the last call, added up; null when there was none */
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
      this.putBack({ byMs, wouldBe: wall + byMs, madeFrom: Math.floor(wall - sinceMs) });
    }
    return wall;
  }

  /** A step that could not be taken account of, or that the caller has found out about. */
  putBack(step: SetBack): void {
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
