interface Entry {
  readonly at: number;
  readonly order: number;
  work: (() => void) | null;
}

/** Time that passes only when nothing is left to do at an instant. Same calls, same order. */
export class VirtualTime {
  now = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Calls `work` in `ms`. @returns takes it back */
  after(ms: number, work: () => void): () => void {
    const entry: Entry = { at: this.now + Math.max(0, ms), order: this.#order++, work };
    this.#push(entry);
    return () => {
      entry.work = null;
    };
  }

  /** Lets this time pass. */
  async run(ms: number): Promise<void> {
    const until = this.now + ms;
    for (let next = this.#heap[0]; next && next.at <= until; next = this.#heap[0]) {
      this.now = next.at;
      for (let each = next; each && each.at === this.now; each = this.#heap[0] as Entry) {
        this.#pop();
        each.work?.();
      }
      // Everything that waits for a promise goes on before time does.
      await new Promise<void>((resolve) => process.nextTick(resolve));
    }
    this.now = until;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    for (let up = (at - 1) >> 1; at > 0 && isBefore(entry, heap[up] as Entry); up = (at - 1) >> 1) {
      heap[at] = heap[up] as Entry;
      at = up;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let at = 0;
    for (let down = 1; down < heap.length; down = 2 * at + 1) {
      const right = heap[down + 1];
      if (right && isBefore(right, heap[down] as Entry)) down++;
      if (!isBefore(heap[down] as Entry, last)) break;
      heap[at] = heap[down] as Entry;
      at = down;
    }
    heap[at] = last;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
