import { type DeferredPromise, deferred, unlessAborted } from "../../../core/promises.ts";
import type { OpenPageFacts } from "../../../store/effect.ts";
import { callWithin } from "../channel.ts";
import { FAILED_AFTER_MS, Gate } from "./gate.ts";
import { comparePages, DRILL, MOVED } from "./page.ts";

/** A page in memory. Times are elapsed milliseconds. */
export interface Waiting {
  facts: OpenPageFacts;
  /** Since when it may be sent; its time without acceptance counts from here. */
  readySince: number;
  /** It is refused or held until then. */
  notBefore: number;
  /** When it was created. */
  readonly bornAt: number;
  attempts: number;
  /** Why this message alone is to be tried again later; null: it is not. */
  deferred: string | null;
  /** How often it was. */
  deferrals: number;
  /** Answers that were lost, of a page that rings, with the one of the attempt that runs. */
  lost: number;
  /** It counts as failed, stored or about to be. */
  isFailed: boolean;
  /** Attempts since the start of the process. */
  triedHere: number;
  /** Since when this process may attempt it. */
  readonly hereSince: number;
  /** An attempt was asked for while one ran. */
  isAskedFor?: boolean;
}

/** An instant of the wall clock in the row of a page as elapsed time. */
export function elapsedOf(
  { createdAt }: OpenPageFacts,
  at: number,
  { now, wall }: { readonly now: number; readonly wall: number },
): number {
  return now - Math.max(0, Math.max(wall, createdAt) - at);
}

/**
 * A page of the table in memory. Its times in the table are of the wall clock: here they count as elapsed.
 * @param isLoaded it was there when the process started
 */
export function waitingFrom(
  facts: OpenPageFacts,
  { now, wall, isLoaded }: { readonly now: number; readonly wall: number; readonly isLoaded: boolean },
): Waiting {
  const ago = (at: number): number => elapsedOf(facts, at, { now, wall });
  const heldMs = facts.heldUntil === null ? 0 : Math.max(0, facts.heldUntil - wall);
  return {
    facts,
    readySince: facts.firstAttemptAt === null ? now + heldMs : ago(facts.firstAttemptAt),
    notBefore: now + heldMs,
    bornAt: isLoaded ? ago(facts.createdAt) : now,
    attempts: facts.attempts,
    deferred: null,
    deferrals: 0,
    lost: facts.lostAnswers,
    isFailed: facts.failedAt !== null,
    triedHere: 0,
    hereSince: now,
  };
}

/** When a page whose message is to be tried again later counts as failed. */
export function deferredFailsAt({ readySince, facts }: Waiting): number {
  return readySince + FAILED_AFTER_MS[facts.urgency];
}

function answerDueAt({ facts }: Waiting, begunAt: number): number {
  return begunAt + FAILED_AFTER_MS[facts.urgency];
}

/** It is about no incident: no summary names it, and it is no reason for `emergency`. */
export function isDrill({ facts }: Waiting): boolean {
  return facts.reason === DRILL;
}

/** It is tried again by itself, not before a time. @param why for people */
export function putOff(page: Waiting, why: string, until: number): void {
  page.notBefore = until;
  page.deferred = why;
}

/** The waiting pages of one target, in the order in which they are sent. */
export class PageQueue {
  readonly key: string;
  readonly owner: string;
  provider: string;
  gate = new Gate();
  /** It works again after an outage, and what waited is not sent yet. */
  isBack = false;
  /** Incidents whose message is on its way or being recorded: those of one incident never overtake each other. */
  readonly running = new Set<string>();
  /** Calls that run. */
  calls = 0;
  #ordered: Waiting[] = [];
  /** Pages with a time of their own. */
  readonly #later = new Set<Waiting>();
  readonly #byId = new Map<string, Waiting>();
  /** Start of each attempt that runs. */
  readonly #begun = new Map<Waiting, number>();

  constructor({ target, owner, provider }: OpenPageFacts) {
    this.key = target;
    this.owner = owner;
    this.provider = provider;
  }

  /** Its pages go elsewhere from now on: it is a target that was not called yet. */
  moveTo(provider: string): void {
    this.provider = provider;
    this.gate = new Gate();
  }

  /** How many messages are to be tried again later by themselves. */
  get deferred(): number {
    let count = 0;
    for (const { deferred } of this.#later) if (deferred !== null) count += 1;
    return count;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Pages that may be sent now, or are being sent. */
  get ready(): number {
    return this.#ordered.length + this.running.size;
  }

  get pages(): Iterable<Waiting> {
    return this.#byId.values();
  }

  add(page: Waiting, now: number): void {
    this.#byId.set(page.facts.id, page);
    this.#place(page, now);
  }

  remove(id: string): void {
    const page = this.#byId.get(id);
    if (!page) return;
    this.#byId.delete(id);
    // Its attempt has taken it out of the order.
    if (!this.#begun.delete(page)) this.#take(page);
  }

  /** Its attempt has ended: it waits again, at the latest time of `notBefore`. */
  requeue(page: Waiting, now: number): void {
    if (!this.#begun.delete(page)) this.#take(page);
    if (this.#byId.has(page.facts.id)) this.#place(page, now);
  }

  /** The next page that may be sent now. */
  head(now: number): Waiting | undefined {
    for (const page of this.#later) {
      if (page.notBefore > now) continue;
      this.#later.delete(page);
      this.#insert(page);
    }
    return this.#ordered[0];
  }

  /** The first pages that may be sent now, and in one message. */
  foldable(limit: number): readonly Waiting[] {
    return this.#ordered.slice(0, limit).filter((page) => !isDrill(page) && !this.running.has(page.facts.incidentId));
  }

  /** Those of them that report, as `page` does, where the alerts of an incident are now. */
  moves(page: Waiting, limit: number): readonly Waiting[] {
    return page.facts.reason === MOVED ? this.foldable(limit).filter(({ facts }) => facts.reason === MOVED) : [];
  }

  /**
   * All of them may be sent now. An attempt that runs may be from before the change: it is made
   * again if it fails.
   */
  retryNow(now: number): void {
    this.gate.retryNow();
    for (const page of this.#byId.values()) {
      // A call that may have rung is not repeated sooner.
      if (page.facts.heldUntil === null && page.lost === 0) page.notBefore = now;
      page.isAskedFor = this.#begun.has(page) && page.facts.rings === 0;
    }
  }

  /** The attempt of a page has failed. @returns whether another one was asked for meanwhile */
  isAskedAgain(page: Waiting, now: number): boolean {
    if (page.isAskedFor !== true) return false;
    page.isAskedFor = false;
    this.gate.retryNow();
    page.notBefore = now;
    return true;
  }

  /** Takes the head out of the order while its attempt runs. */
  begin(page: Waiting, now: number): void {
    this.#begun.set(page, now);
    this.#take(page);
  }

  /** Pages that may be sent now, and are not. */
  unbegun(now: number): readonly Waiting[] {
    return [...this.#byId.values()].filter((page) => page.notBefore <= now && !this.#begun.has(page));
  }

  /** When the first page counts as failed unless the attempt that runs has an answer by then. */
  get nextUnansweredAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const [page, begunAt] of this.#begun) if (!page.isFailed) at = Math.min(at, answerDueAt(page, begunAt));
    return at;
  }

  /** Pages that count as failed: the attempt that runs has no answer yet. */
  unanswered(now: number): readonly Waiting[] {
    const begun = [...this.#begun].filter(([page, begunAt]) => !page.isFailed && answerDueAt(page, begunAt) <= now);
    return begun.map(([page]) => page);
  }

  /** The earliest time of pages with one of their own. */
  get nextAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const { notBefore } of this.#later) at = Math.min(at, notBefore);
    return at;
  }

  #place(page: Waiting, now: number): void {
    if (page.notBefore > now) this.#later.add(page);
    else this.#insert(page);
  }

  #insert(page: Waiting): void {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#ordered[middle];
      if (other && comparePages(other.facts, page.facts) <= 0) low = middle + 1;
      else high = middle;
    }
    this.#ordered.splice(low, 0, page);
  }

  #take(page: Waiting): void {
    this.#later.delete(page);
    const at = this.#ordered[0] === page ? 0 : this.#ordered.indexOf(page);
    if (at >= 0) this.#ordered.splice(at, 1);
  }
}

/** A host, mail server or push service: its targets share the probe while it cannot be reached. */
export interface Provider {
  readonly gate: Gate;
  readonly queues: Set<PageQueue>;
}

/** What a call has passed, of which its result tells: the target may have another host since. */
export interface CalledWay {
  readonly queue: PageQueue;
  readonly gate: Gate;
  readonly provider: Provider;
}

/** The other targets of a provider, those with urgent pages first. @param now elapsed ms */
export function othersOf({ queues }: Provider, queue: PageQueue, now: number): readonly PageQueue[] {
  const isUrgent = (each: PageQueue): boolean => each.head(now)?.facts.urgency === "high";
  const others = [...queues].filter((each) => each !== queue);
  return [...others.filter(isUrgent), ...others.filter((each) => !isUrgent(each))];
}

/** The providers of the targets in memory. */
export class Providers {
  readonly #byName = new Map<string, Provider>();

  of({ provider }: Pick<PageQueue, "provider">): Provider {
    return this.#byName.get(provider) ?? { gate: new Gate(), queues: new Set() };
  }

  add(queue: PageQueue): void {
    const provider = this.of(queue);
    provider.queues.add(queue);
    this.#byName.set(queue.provider, provider);
  }

  delete(queue: PageQueue): void {
    const { queues } = this.of(queue);
    queues.delete(queue);
    if (queues.size === 0) this.#byName.delete(queue.provider);
  }

  /** The target has another host now: what is known of the one before says nothing about it. */
  move(queue: PageQueue, provider: string): void {
    this.delete(queue);
    queue.moveTo(provider);
    this.add(queue);
  }
}

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
