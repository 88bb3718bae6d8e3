/**
 * The numbers 1, 2, 3 … that one client received, and the errors in them. An entry may come twice,
 * under its own offset only; a client that keeps an offset ignores lower or equal ones.
 */
export class Ledger {
  readonly #numbers = new Map<number, number>();
  readonly #faults: string[] = [];
  #offset: number | null = null;
  #count = 0;
  duplicates = 0;
  connections = 0;

  /** The offset to resume after; null: everything is wanted. */
  get offset(): number | null {
    return this.#offset;
  }

  /** The number that came last. */
  get count(): number {
    return this.#count;
  }

  /** Losses, disorder and entries that changed; the first few. */
  get faults(): readonly string[] {
    return this.#faults.slice(0, 5);
  }

  take(offset: number, number: number): void {
    if (this.#offset !== null && offset <= this.#offset) {
      if (this.#numbers.get(offset) === number) this.duplicates++;
      else this.#faults.push(`${number} at ${offset} although ${this.#offset} had been handled`);
      return;
    }
    if (number !== this.#count + 1) this.#faults.push(`${number} at ${offset} behind ${this.#count}`);
    this.#numbers.set(offset, number);
    this.#offset = offset;
    this.#count = number;
  }

  fault(text: string): void {
    this.#faults.push(text);
  }
}

/** What a client follows, and as which user. */
export interface FollowTarget {
  /** `http://host:port`, the same after each start. */
  readonly url: string;
  readonly token: string;
  readonly userId: string;
  readonly projectId: string;
  /** Of the embedded Pusher app. */
  readonly pusherKey: string;
}

/** A client that follows numbered entries, and connects again as its library does. */
export interface Follower {
  readonly ledger: Ledger;
  close(): void | Promise<void>;
}

export interface FollowerKind {
  readonly name: string;
  /** Events and notifications are numbered together, tasks by themselves. */
  readonly follows: "events" | "notifications" | "tasks";
  /** @returns a client that is let in, or is still trying to be. */
  follow(target: FollowTarget): Follower;
}
