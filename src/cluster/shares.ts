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

  get total(): number {
    return this.#total;
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
