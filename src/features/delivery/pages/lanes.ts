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

const STANDINGS = ["proven", "unproven", "suspect"] as const;
type Standing = (typeof STANDINGS)[number];

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

  /** Whether a target of this standing may be called, of an owner who has room. */
  hasRoom(standing: Standing): boolean {
    if (this.#running >= MAX_CALLS) return false;
    if (standing !== "proven" && this.#by.unproven + this.#by.suspect >= MAX_UNPROVEN) return false;
    return standing !== "suspect" || this.#by.suspect < MAX_SUSPECT;
  }

  ownerHasRoom(owner: string): boolean {
    return owner === SERVER || (this.#owners.get(owner) ?? 0) < MAX_SUSPECT;
  }

  /** @returns undefined if there is no room now */
  take(standing: Standing, owner: string): Slot | undefined {
    if (!this.hasRoom(standing) || !this.ownerHasRoom(owner)) return undefined;
    this.#owners.set(owner, (this.#owners.get(owner) ?? 0) + 1);
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

/**
 * Targets whose next page found no room, by standing and owner: those that stay blocked are passed
 * over together, and owners take turns.
 */
export class Crowd<T extends { readonly owner: string }> {
  readonly #by = {
    proven: new Map<string, Set<T>>(),
    unproven: new Map<string, Set<T>>(),
    suspect: new Map<string, Set<T>>(),
  };

  get size(): number {
    let size = 0;
    for (const standing of STANDINGS) for (const waiting of this.#by[standing].values()) size += waiting.size;
    return size;
  }

  add(standing: Standing, target: T): void {
    const waiting = this.#by[standing].get(target.owner) ?? new Set();
    this.#by[standing].set(target.owner, waiting.add(target));
  }

  delete(target: T): void {
    for (const standing of STANDINGS) this.#deleteOf(standing, target);
  }

  /** Takes out the next target for which there is room. */
  next(lanes: Lanes): T | undefined {
    for (const standing of STANDINGS) {
      if (!lanes.hasRoom(standing)) continue;
      for (const [owner, waiting] of this.#by[standing]) {
        const [target] = waiting;
        if (!target || !lanes.ownerHasRoom(owner)) continue;
        this.#by[standing].delete(owner);
        this.#by[standing].set(owner, waiting);
        this.#deleteOf(standing, target);
        return target;
      }
    }
    return undefined;
  }

  #deleteOf(standing: Standing, target: T): void {
    const waiting = this.#by[standing].get(target.owner);
    waiting?.delete(target);
    if (waiting?.size === 0) this.#by[standing].delete(target.owner);
  }
}
