import type { Clock } from "../../base/clock.ts";

/** How long one stands in line where nobody was sent away: it holds a worker, which other places need. */
const PATIENCE_MS = 250;
/** Nobody is sent away for much longer: the place may be quick again. */
const LONGEST_ABSENCE_MS = 30_000;
/** Places that are kept in mind while somebody has them or should come back; beyond that it is seen who did not. */
const MAX_PLACES = 10_000;

interface Place {
  /** Since when somebody has it, on the clock of time that passes; null while nobody does. */
  busySince: number | null;
  /** Whoever stands here goes next; told false, it may not. */
  readonly line: ((isNext: boolean) => void)[];
  /** How long the last one had it. */
  tookMs: number;
  /** When the last of those who were sent away comes back, on the same clock. */
  backAt: number;
}

/** Somebody who wants to use a place alone. */
export interface Turn<T> {
  /** Was sent away before. */
  readonly isBack: boolean;
  run(): Promise<T>;
  /** Comes back after so many milliseconds, and holds nothing until then. */
  sendAway(ms: number): Promise<T>;
}

/**
 * Lets those who want the same place have it one after the other, in the order in which they came. Where that takes long, they do not wait in
 * line: each is sent away until it should be its turn, so that one place that is slow never keeps all workers from the others.
 */
export class Turns {
  readonly #places = new Map<string, Place>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async take<T>(key: string, { isBack, run, sendAway }: Turn<T>): Promise<T> {
    const place = this.#placeOf(key);
    if (!(await this.#standIn(place, isBack))) return sendAway(this.#absenceFrom(place));
    try {
      return await run();
    } finally {
      const now = this.#clock.elapsed();
      place.tookMs = now - (place.busySince ?? now);
      const next = place.line.shift();
      place.busySince = next ? now : null;
      next?.(true);
      if (this.#isLeft(place)) this.#places.delete(key);
    }
  }

  /** @returns whether the place is one's own now. */
  #standIn(place: Place, isBack: boolean): boolean | Promise<boolean> {
    const { line } = place;
    const now = this.#clock.elapsed();
    if (!isBack && place.backAt > now) return false;
    if (place.busySince === null) {
      place.busySince = now;
      return true;
    }
    if (isBack && line.length > 0) return false;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const answer = (isNext: boolean): void => {
        clearTimeout(timer);
        resolve(isNext);
      };
      // Asks the clock once more: it may stand.
      const leave = (): void => {
        const leftMs = now + PATIENCE_MS - this.#clock.elapsed();
        if (leftMs > 0) {
          timer = setTimeout(leave, leftMs);
          return;
        }
        line.splice(line.indexOf(answer), 1);
        answer(false);
      };
      line.push(answer);
      if (!isBack) leave();
    });
  }

  /** As long as those before it should take; never before one of them. */
  #absenceFrom(place: Place): number {
    const now = this.#clock.elapsed();
    const last = Math.max(place.backAt, now);
    const tookMs = place.busySince === null ? place.tookMs : Math.max(place.tookMs, now - place.busySince);
    const turn = last + Math.max(tookMs, PATIENCE_MS);
    place.backAt = Math.max(last + 1, Math.min(turn, now + LONGEST_ABSENCE_MS));
    return Math.ceil(place.backAt - now);
  }

  #placeOf(key: string): Place {
    const known = this.#places.get(key);
    if (known) return known;
    if (this.#places.size >= MAX_PLACES)
      for (const [each, place] of this.#places) if (this.#isLeft(place)) this.#places.delete(each);
    const place: Place = { busySince: null, line: [], tookMs: 0, backAt: 0 };
    this.#places.set(key, place);
    return place;
  }

  /** Whether nobody has it, and nobody is to come back to it. */
  #isLeft({ busySince, backAt }: Place): boolean {
    return busySince === null && backAt <= this.#clock.elapsed();
  }
}
