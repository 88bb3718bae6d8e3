import { PrismError } from "../errors.ts";

interface Options {
  /** At the same time. */
  readonly total: number;
  /** Limit of one owner at the same time, so that others find room. */
  readonly perOwner: number;
  /** Name of the limited work, such as "tests of channels". */
  readonly what: string;
}

const RETRY_AFTER_MS = 1000;

/** Work that holds a connection or a socket for some seconds: so much at a time, and so much of one owner. */
export class Slots {
  readonly #options: Options;
  readonly #ofOwner = new Map<string, number>();
  #running = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** @throws RATE_LIMITED when the owner has too much running, OVERLOADED when all have; what `work` throws */
  async run<T>(owner: string, work: () => Promise<T>): Promise<T> {
    const { total, perOwner, what } = this.#options;
    const own = this.#ofOwner.get(owner) ?? 0;
    const retry = { retryAfterMs: RETRY_AFTER_MS };
    if (own >= perOwner) throw new PrismError("RATE_LIMITED", `Too many of your ${what} are running`, retry);
    if (this.#running >= total) throw new PrismError("OVERLOADED", `Too many ${what} are running`, retry);
    this.#running++;
    this.#ofOwner.set(owner, own + 1);
    try {
      return await work();
    } finally {
      this.#running--;
      const left = (this.#ofOwner.get(owner) ?? 1) - 1;
      if (left === 0) this.#ofOwner.delete(owner);
      else this.#ofOwner.set(owner, left);
    }
  }
}

/** Bounds what each of many takes of one total: at most its share, and no more than is still free. */
export class Shares {
  readonly #most: number;
  readonly #mostOfOne: number;
  readonly #taken = new Map<string, number>();
  #total = 0;

  /** @param share of one, up to 1: also then room is left for the next one */
  constructor(most: number, share: number) {
    this.#most = most;
    this.#mostOfOne = most * share;
  }

  hasRoom(key: string, amount: number): boolean {
    const own = (this.#taken.get(key) ?? 0) + amount;
    return own <= Math.min(this.#mostOfOne, this.#most - this.#total);
  }

  /** @returns whether there was room: nothing is counted without */
  take(key: string, amount: number): boolean {
    const hasRoom = this.hasRoom(key, amount);
    if (hasRoom) this.add(key, amount);
    return hasRoom;
  }

  /** Counts what is there already, or with a negative amount gives it back. */
  add(key: string, amount: number): void {
    this.#total += amount;
    const sum = (this.#taken.get(key) ?? 0) + amount;
    if (sum > 0) this.#taken.set(key, sum);
    else this.#taken.delete(key);
  }
}
