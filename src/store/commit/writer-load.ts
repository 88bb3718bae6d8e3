/** Where the writing connection is: in the main thread, or in a thread of its own. */
export type WriterPlace = "main" | "thread";

const WINDOW_MS = 1000;
/**
 * A small commit costs half as much in the main thread as in another one: two messages and two wake-ups
 * cost more than its rows. One with as many rows as the first number is better written elsewhere; one
 * with fewer than the second is not. In its thread the same load makes smaller commits, because the
 * next one begins while the one before is on its way.
 */
const LARGE_ROWS = 24;
const SMALL_ROWS = 12;
/** Such commits of a second that are worth a thread and its 8 MB. */
const BUSY_COMMITS = 8;
/** Typical time of a commit on a disk that the event loop must not wait for, and on one that it may. */
const SLOW_MS = 2;
const QUICK_MS = 1.5;
/** A longer commit counts as this in the typical time: one alone is chance, four in a row are not. */
const MOST_COUNTED_MS = 10;
/** Part of the latest commit in the typical time. */
const SHARE_OF_LATEST = 1 / 16;
/** One commit that blocks the event loop for this long is enough. */
const BLOCKED_MS = 50;
/** A disk that hangs once will again. */
const HANG_MS = 1000;
const AFTER_HANG_MS = 86_400_000;
/** How long the thread must have little to do before the writer leaves it. */
const CALM_MS = 2000;
/** It is doubled each time that the writer had to come back soon, up to this. */
const MOST_CALM_MS = 64_000;

/**
 * Decides by measured commits where the writer should be: by their rows and their time. Writes that fill
 * the main thread need no further bound: what waits for it makes the commits larger. It looks only when a
 * commit ends, so an idle server runs nothing for it.
 */
export class WriterLoad {
  #place: WriterPlace = "main";
  #windowStart = 0;
  /** Commits of the window that are not small. */
  #large = 0;
  #typicalMs = 0;
  /** The thread has had little to do since then. */
  #calmSince = 0;
  #calmMs = CALM_MS;
  #returnedAt = Number.NEGATIVE_INFINITY;
  #staysUntil = 0;

  /** The writer has moved. */
  moved(place: WriterPlace, now: number): void {
    this.#place = place;
    this.#startWindow(now);
    if (place === "main") {
      this.#returnedAt = now;
      return;
    }
    this.#calmSince = now;
    const isSoon = now - this.#returnedAt < this.#calmMs;
    this.#calmMs = isSoon ? Math.min(2 * this.#calmMs, MOST_CALM_MS) : CALM_MS;
  }

  /**
   * Notes a commit: a write set, or the transactions that share one. @param tookMs the time that the
   * writing connection took for it. @returns where the writer should be
   */
  committed(rows: number, tookMs: number, now: number): WriterPlace {
    if (now - this.#windowStart > WINDOW_MS) {
      if (!this.#wasCalm()) this.#calmSince = now;
      this.#startWindow(now);
    }
    if (rows >= (this.#place === "main" ? LARGE_ROWS : SMALL_ROWS)) this.#large++;
    this.#typicalMs += (Math.min(tookMs, MOST_COUNTED_MS) - this.#typicalMs) * SHARE_OF_LATEST;
    if (tookMs >= HANG_MS) this.#staysUntil = now + AFTER_HANG_MS;
    if (this.#place === "main") return this.#isBusy(tookMs) ? "thread" : "main";
    return now >= this.#staysUntil && now - this.#calmSince >= this.#calmMs ? "main" : "thread";
  }

  #startWindow(now: number): void {
    this.#windowStart = now;
    this.#large = 0;
  }

  #isBusy(tookMs: number): boolean {
    return tookMs >= BLOCKED_MS || this.#typicalMs >= SLOW_MS || this.#large >= BUSY_COMMITS;
  }

  /** Whether the window that has ended would do as well in the main thread. */
  #wasCalm(): boolean {
    return this.#large < BUSY_COMMITS && this.#typicalMs < QUICK_MS;
  }
}
