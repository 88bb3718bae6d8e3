interface Threshold<E> {
  readonly bound: number;
  readonly entry: E;
}

/** Entries by the number a value must reach, in ascending order: those a value reaches stand at the front. */
export class ThresholdList<E> {
  readonly #thresholds: Threshold<E>[] = [];

  add(bound: number, entry: E): void {
    this.#thresholds.splice(this.#firstFrom(bound), 0, { bound, entry });
  }

  /** Removes `entry` from under `bound`; nothing happens where it is not there. */
  remove(bound: number, entry: E): void {
    for (let at = this.#firstFrom(bound); this.#thresholds[at]?.bound === bound; at += 1) {
      if (this.#thresholds[at]?.entry === entry) {
        this.#thresholds.splice(at, 1);
        return;
      }
    }
  }

  /** Appends to `found` each entry whose bound is at most `value`. */
  collect(value: number, found: E[]): void {
    for (const { bound, entry } of this.#thresholds) {
      if (bound > value) return;
      found.push(entry);
    }
  }

  /** Index of the first threshold that is not below `bound`. */
  #firstFrom(bound: number): number {
    let low = 0;
    let high = this.#thresholds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#thresholds[middle]?.bound ?? bound) < bound) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
