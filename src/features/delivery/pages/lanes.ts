import { type DeferredPromise, deferred, unlessAborted } from "../../../core/promises.ts";
import { callWithin } from "../channel.ts";

/** Calls of pages that run at the same time. Each is a socket. */
const MAX_CALLS = 256;
/** Share for targets that have not answered since the start of the process. */
const MAX_UNPROVEN = MAX_CALLS / 2;
/** Share for targets whose last call timed out, and for those of one owner. */
const MAX_SUSPECT = MAX_CALLS / 4;

/** The owner of calls of the server itself. */
const SERVER = "";

type Standing = "proven" | "unproven" | "suspect";

/** A place for one call. */
export interface Slot {
  readonly standing: Standing;
  readonly owner: string;
}

/**
 * The sockets of pages. Targets that may hang never use all of them: a page to a target that answers
 * always finds one.
 */
export class Lanes {
  #running = 0;
  readonly #by = { proven: 0, unproven: 0, suspect: 0 };
  /** Slots by owner. */
  readonly #owners = new Map<string, number>();
  /** Calls that are no pages: they get the next free slot. */
  readonly #waiting: DeferredPromise<Slot>[] = [];

  /** @returns undefined if there is no room now */
  take(standing: Standing, owner: string): Slot | undefined {
    if (this.#running >= MAX_CALLS) return undefined;
    const held = this.#owners.get(owner) ?? 0;
    if (held >= MAX_SUSPECT && owner !== SERVER) return undefined;
    if (standing !== "proven" && this.#by.unproven + this.#by.suspect >= MAX_UNPROVEN) return undefined;
    if (standing === "suspect" && this.#by.suspect >= MAX_SUSPECT) return undefined;
    this.#owners.set(owner, held + 1);
    this.#running += 1;
    this.#by[standing] += 1;
    return { standing, owner };
  }

  /** Calls `send` with the next free slot for a target that answers. Rejects when `stop` aborts. */
  async call(send: (signal: AbortSignal) => Promise<void>, stop: AbortSignal): Promise<void> {
    const slot = this.take("proven", SERVER) ?? (await this.#next(stop));
    try {
      await callWithin(send, stop);
    } finally {
      this.release(slot);
    }
  }

  #next(stop: AbortSignal): Promise<Slot> {
    const turn = deferred<Slot>();
    this.#waiting.push(turn);
    return unlessAborted(turn.promise, stop);
  }

  release({ standing, owner }: Slot): void {
    this.#running -= 1;
    this.#by[standing] -= 1;
    const turn = this.#waiting.shift();
    const slot = turn && this.take("proven", SERVER);
    if (slot) turn.resolve(slot);
    else if (turn) this.#waiting.unshift(turn);
    const held = (this.#owners.get(owner) ?? 1) - 1;
    if (held > 0) this.#owners.set(owner, held);
    else this.#owners.delete(owner);
  }

  get running(): number {
    return this.#running;
  }
}
