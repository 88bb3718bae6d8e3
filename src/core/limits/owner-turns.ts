interface Options {
  /** At the same time. */
  readonly total: number;
  /** Of one owner at the same time, so that others find room. */
  readonly perOwner: number;
}

/** Work that waits for its turn: so much at a time, so much of one owner, in the order in which it asked. */
export class OwnerTurns {
  readonly #options: Options;
  readonly #ofOwner = new Map<string, number>();
  readonly #waiting: { readonly owner: string; readonly begin: () => void }[] = [];
  #running = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** @throws what `work` throws */
  async run<T>(owner: string, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((begin) => {
      this.#waiting.push({ owner, begin });
      this.#next();
    });
    try {
      return await work();
    } finally {
      this.#running--;
      this.#count(owner, -1);
      this.#next();
    }
  }

  /** Begins the first that has room. One that ends makes room for one. */
  #next(): void {
    const { total, perOwner } = this.#options;
    if (this.#running >= total) return;
    const at = this.#waiting.findIndex(({ owner }) => (this.#ofOwner.get(owner) ?? 0) < perOwner);
    const [first] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (!first) return;
    this.#running++;
    this.#count(first.owner, 1);
    first.begin();
  }

  #count(owner: string, change: number): void {
    const count = (this.#ofOwner.get(owner) ?? 0) + change;
    if (count === 0) this.#ofOwner.delete(owner);
    else this.#ofOwner.set(owner, count);
  }
}
