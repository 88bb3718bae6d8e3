import type { Database as Sqlite } from "better-sqlite3";
import type { Clock, EpochMs } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { type SetBack, SetBackWatch, TOLERANCE_MS } from "./set-back.ts";

/**
 * Longer waits are armed anew (contract 8.2): setTimeout takes 31 bits of milliseconds, and it counts elapsed time, so that a clock that is
 * set forward, or a machine that slept, is noticed within this time.
 */
const MAX_WAIT_MS = 60_000;
/** How often the clock is looked at, so that little is made between a step of it and its notice. */
const LOOK_EVERY_MS = 1000;

/** Waiting jobs are claimed this much before their time, so that they do not run a commit later than they should: twice what a commit takes. */
const MIN_AHEAD_MS = 10;
const MAX_AHEAD_MS = 100;
/** What the last commits say of the next: an average that forgets. */
const MEMORY = 0.9;

export interface DueWatchParts {
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly log: Logger;
  /** Something is due, or the clock was set back. */
  wake(): void;
}

/** Knows when the next waiting job is due, so that nobody asks the table before; and notices when the clock is set back. */
export class DueWatch {
  readonly #parts: DueWatchParts;
  readonly #nextDue;
  readonly #newest;
  #looking: NodeJS.Timeout | null = null;
  readonly #setBackWatch: SetBackWatch;
  #nextDueAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  /** The wall clock was set back, and the table does not know it yet. */
  #setBack: SetBack | null = null;
  #isRunning = false;
  #commitMs = MIN_AHEAD_MS / 2;

  constructor(parts: DueWatchParts) {
    this.#parts = parts;
    this.#setBackWatch = new SetBackWatch(parts.clock);
    this.#nextDue = parts.reader.prepare<[], { runAt: number | null }>(
      "select min(runAt) as runAt from jobs where state in ('scheduled', 'retrying')",
    );
    this.#newest = parts.reader.prepare<[], { madeAt: number }>(
      "select max(createdAt, coalesce(startedAt, 0)) as madeAt from jobs order by seq desc limit 1",
    );
  }

  start(): void {
    this.#isRunning = true;
    this.#lookBack();
    this.#looking = setInterval(() => this.now(), LOOK_EVERY_MS).unref();
    this.read();
    this.arm();
  }

  /** While the server was down the clock was set back by as much as the newest job seems to be made in the future, or more. */
  #lookBack(): void {
    const now = this.#parts.clock.now();
    const newest = this.#newest.get()?.madeAt ?? 0;
    if (newest <= now + TOLERANCE_MS) return;
    const byMs = newest - now;
    this.#parts.log.warn({ byMs }, "the clock was set back while the server was down; jobs that wait go with it");
    this.putBack({ byMs, wouldBe: newest, madeFrom: now });
  }

  stop(): void {
    this.#isRunning = false;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#looking) clearInterval(this.#looking);
  }

  /** Reads from the table when the next job is due. */
  read(): void {
    this.#nextDueAt = this.#nextDue.get()?.runAt ?? Number.POSITIVE_INFINITY;
  }

  /** A job that has been committed is due then. */
  note(runAt: EpochMs): void {
    this.#nextDueAt = Math.min(this.#nextDueAt, runAt);
  }

  arm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#isRunning || this.#nextDueAt === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.min(Math.max(0, this.#nextDueAt - this.#aheadMs - this.now()), MAX_WAIT_MS);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#isNear(this.now())) this.#parts.wake();
      else this.arm();
    }, waitMs);
  }

  /** What is to be done now: by which instant jobs are due or nearly so (null: none is), and by how much waiting ones are to be set back. */
  take(now: EpochMs): { readonly promoteDueAt: EpochMs | null; readonly setBack: SetBack | null } {
    const setBack = this.#setBack;
    this.#setBack = null;
    if (!this.#isRunning) return { promoteDueAt: null, setBack };
    if (setBack) return { promoteDueAt: setBack.wouldBe, setBack };
    return { promoteDueAt: this.#isNear(now) ? now + this.#aheadMs : null, setBack };
  }

  /** How long a claim has taken, from asking to having it. */
  committed(durationMs: number): void {
    this.#commitMs = this.#commitMs * MEMORY + durationMs * (1 - MEMORY);
  }

  #isNear(now: EpochMs): boolean {
    return this.#nextDueAt - this.#aheadMs <= now;
  }

  get #aheadMs(): number {
    return Math.round(Math.min(Math.max(2 * this.#commitMs, MIN_AHEAD_MS), MAX_AHEAD_MS));
  }

  /**
   * The wall clock. A step back is noticed here: what was due by the clock as it was is then made ready, and waiting jobs that were made in
   * what is the future now are set back with it. So delays and retries take the time they were given, what is stored is right by the clock as
   * it is, and a glitch that went forward and back leaves nothing that waits for it.
   */
  now(): EpochMs {
    const { clock, log, wake } = this.#parts;
    const setBack = this.#setBackWatch.read();
    if (setBack) {
      log.warn({ byMs: setBack.byMs }, "the clock was set back; jobs that wait go with it");
      this.putBack(setBack);
      if (this.#isRunning) wake();
    }
    return clock.now();
  }

  /** A step that the table does not know yet; steps add up. */
  putBack(step: SetBack): void {
    const earlier = this.#setBack ?? { byMs: 0, wouldBe: 0, madeFrom: step.madeFrom };
    this.#setBack = {
      byMs: step.byMs + earlier.byMs,
      wouldBe: Math.max(step.wouldBe, earlier.wouldBe),
      madeFrom: Math.min(step.madeFrom, earlier.madeFrom),
    };
  }
}
