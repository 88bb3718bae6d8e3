import type { Clock } from "../../core/time/clock.ts";

/** A limit of concurrent attempts shared by targets of a channel, a host or an owner. */
export interface SharedLimit {
  readonly key: string;
  readonly limit: number;
}

/** The limits of targets that share a queue's workers. */
interface LaneFacts {
  readonly channel: string;
  /** Undefined when the operator configured the provider: no user can make it slow. */
  readonly host?: string | undefined;
  readonly owner?: string | undefined;
}

/**
 * Share of a queue's workers that one channel may hold. Together they leave some for planning jobs,
 * so a hanging channel never blocks another one.
 */
const SHARES: ReadonlyMap<string, number> = new Map([
  ["webhook", 3 / 8],
  ["email", 3 / 16],
  ["service", 3 / 16],
  ["pusher", 1 / 8],
  ["fcm", 3 / 4],
  ["apns", 3 / 4],
  ["webpush", 1 / 2],
]);

/** The limits of an attempt in a queue with this many workers. Each is at least 1. */
export function limitsOf({ channel, host, owner }: LaneFacts, concurrency: number): SharedLimit[] {
  const share = Math.max(1, Math.floor(concurrency * (SHARES.get(channel) ?? 1 / 4)));
  const limits: SharedLimit[] = [{ key: channel, limit: share }];
  if (host !== undefined) limits.push({ key: `${channel} host ${host}`, limit: Math.max(1, share - 1) });
  if (owner !== undefined) limits.push({ key: `${channel} owner ${owner}`, limit: Math.max(1, Math.floor(share / 2)) });
  return limits;
}

/** Usage of one {@link SharedLimit}, and its waiters, longest wait first. */
class Bulkhead<W> {
  limit: number;
  held = 0;
  readonly waiting = new Set<W>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get hasRoom(): boolean {
    return this.held < this.limit;
  }

  get isUnused(): boolean {
    return this.held === 0 && this.waiting.size === 0;
  }
}

class Bulkheads<W> {
  readonly #byKey = new Map<string, Bulkhead<W>>();

  of({ key, limit }: SharedLimit): Bulkhead<W> {
    const bulkhead = this.#byKey.get(key) ?? new Bulkhead<W>(limit);
    bulkhead.limit = limit;
    this.#byKey.set(key, bulkhead);
    return bulkhead;
  }

  /** Removes unused ones. */
  trim(limits: readonly SharedLimit[]): void {
    for (const { key } of limits) if (this.#byKey.get(key)?.isUnused) this.#byKey.delete(key);
  }
}

/** An attempt holds its worker while it waits for a call that ends within this time. */
const QUEUE_WAIT_MS = 250;
/** Limit of such waiting attempts per target. */
const MAX_WAITING = 3;
/** A deferred attempt becomes ready after this time unless it is recalled earlier. */
const DEFERRED_MS = 30_000;
/** If it does not return within this extra time, it was cancelled or runs elsewhere. */
const GRACE_MS = 5_000;
/** A recall takes two commits, so a quick target has several in flight. */
const MAX_RECALLED = 8;
/** Limit of deferred attempts whose order is kept. */
const MAX_DEFERRED = 50_000;

export interface TargetCall<T> {
  readonly jobId: string;
  /** Calls to one target are serialised. */
  readonly target: string;
  readonly limits: readonly SharedLimit[];
  run(): Promise<T>;
  /** Returns the job to the table for this long, or until recalled; meanwhile it has no worker. */
  defer(waitMs: number): Promise<T>;
}

interface Deferred {
  readonly returnAt: number;
  /** The job is stored in the table: it cannot be recalled earlier. */
  isStored: boolean;
  isRecalled: boolean;
}

interface Waiting {
  readonly jobId: string;
  /** Called with false when the attempt must be deferred. */
  go(isNext: boolean): void;
}

interface Target {
  readonly key: string;
  limits: readonly SharedLimit[];
  /** Start of the current call in elapsed time; null while idle. */
  busySince: number | null;
  /** Duration of the last call. */
  tookMs: number;
  line: Waiting[];
  /** In order of arrival, by job. */
  deferred: Map<string, Deferred>;
  timer: NodeJS.Timeout | null;
}

/**
 * Serialises the calls to each target in order of arrival, and keeps each channel, host and owner
 * within its limits of workers. An attempt that would wait too long is deferred: its job returns to
 * the table and is recalled when the target can take it, so a queue drains as fast as the target
 * answers.
 */
export class TargetQueues {
  readonly #clock: Clock;
  readonly #recall: (jobIds: readonly string[]) => void;
  readonly #targets = new Map<string, Target>();
  readonly #bulkheads = new Bulkheads<Target>();
  #deferredCount = 0;

  /** @param recall makes these jobs ready now, in this order; must not throw */
  constructor(clock: Clock, recall: (jobIds: readonly string[]) => void) {
    this.#clock = clock;
    this.#recall = recall;
  }

  async call<T>(call: TargetCall<T>): Promise<T> {
    const target = this.#targetOf(call);
    const turn = this.#enter(target, call.jobId);
    // No await in between: the target could be removed meanwhile.
    if (turn === false || !(await turn)) return this.#defer(target, call);
    try {
      return await call.run();
    } finally {
      this.#leave(target);
    }
  }

  /** A deferred attempt will not return: those after it need not wait for it. */
  forget(key: string, jobId: string): void {
    const target = this.#targets.get(key);
    if (!target || !this.#remove(target, jobId)) return;
    this.#recallNext(target);
    this.#trim(target);
  }

  /** Workers held under this limit: calls, and attempts that wait. For tests and metrics. */
  heldBy(limit: SharedLimit): number {
    return this.#bulkheads.of(limit).held;
  }

  /** @returns whether the caller now owns the target. */
  #enter(target: Target, jobId: string): boolean | Promise<boolean> {
    this.#dropLost(target);
    const [first] = target.deferred.keys();
    if (first !== undefined && first !== jobId) return false;
    if (this.#fullLimit(target)) return false;
    if (target.busySince === null) {
      this.#hold(target, jobId);
      this.#begin(target);
      return true;
    }
    if (target.line.length >= MAX_WAITING || this.#isSlow(target)) return false;
    this.#hold(target, jobId);
    return new Promise((resolve) => {
      target.line.push({ jobId, go: resolve });
      this.#watchLine(target);
    });
  }

  #hold(target: Target, jobId: string): void {
    this.#remove(target, jobId);
    for (const limit of target.limits) this.#bulkheads.of(limit).held++;
  }

  #begin(target: Target): void {
    target.busySince = this.#clock.elapsed();
    if (target.line.length > 0) this.#watchLine(target);
  }

  #leave(target: Target): void {
    const now = this.#clock.elapsed();
    target.tookMs = now - (target.busySince ?? now);
    target.busySince = null;
    this.#release(target);
    const next = target.line.shift();
    if (next) this.#begin(target);
    next?.go(true);
    this.#recallNext(target);
    this.#recallWaiting(target);
    this.#trim(target);
  }

  #release(target: Target): void {
    for (const limit of target.limits) this.#bulkheads.of(limit).held--;
  }

  /** Defers the waiting attempts when the current call takes long. */
  #watchLine(target: Target): void {
    if (target.timer) return;
    const leftMs = (target.busySince ?? 0) + QUEUE_WAIT_MS - this.#clock.elapsed();
    target.timer = setTimeout(
      () => {
        target.timer = null;
        if (target.line.length === 0) return;
        if (this.#busyMs(target) < QUEUE_WAIT_MS) this.#watchLine(target);
        else this.#deferLine(target);
      },
      Math.max(1, leftMs),
    ).unref();
  }

  /** Puts these jobs before the deferred ones: they are older. */
  #deferLine(target: Target): void {
    const line = target.line.splice(0);
    const entries = line.map(({ jobId }) => [jobId, this.#newDeferred()] as const);
    target.deferred = new Map([...entries, ...target.deferred]);
    this.#deferredCount += line.length;
    for (const { go } of line) {
      this.#release(target);
      go(false);
    }
    this.#recallWaiting(target);
  }

  async #defer<T>(target: Target, { jobId, defer }: TargetCall<T>): Promise<T> {
    const entry = this.#noteDeferred(target, jobId);
    const full = this.#fullLimit(target);
    if (full) this.#bulkheads.of(full).waiting.add(target);
    // Increasing waits, so that they keep this order in the table.
    const waitMs = DEFERRED_MS + target.deferred.size;
    try {
      return await defer(waitMs);
    } catch (error) {
      this.#remove(target, jobId);
      throw error;
    } finally {
      if (entry) entry.isStored = true;
      this.#recallNext(target);
      this.#trim(target);
    }
  }

  /** A job that returns too early keeps its position. */
  #noteDeferred(target: Target, jobId: string): Deferred | undefined {
    const known = target.deferred.get(jobId);
    if (!known && this.#deferredCount >= MAX_DEFERRED) return undefined;
    const entry = this.#newDeferred();
    if (!known) this.#deferredCount++;
    target.deferred.set(jobId, entry);
    return entry;
  }

  #newDeferred(): Deferred {
    return { returnAt: this.#clock.elapsed() + DEFERRED_MS, isStored: false, isRecalled: false };
  }

  /** Recalls as many deferred attempts as the target can take by the time they return. */
  #recallNext(target: Target): void {
    if (target.deferred.size === 0) return;
    const full = this.#fullLimit(target);
    if (full) {
      this.#bulkheads.of(full).waiting.add(target);
      return;
    }
    const wanted = this.#recallDepth(target) - (target.busySince === null ? 0 : 1) - target.line.length;
    const jobIds: string[] = [];
    let position = 0;
    for (const [jobId, entry] of target.deferred) {
      if (position++ >= wanted || !entry.isStored) break;
      if (entry.isRecalled) continue;
      entry.isRecalled = true;
      jobIds.push(jobId);
    }
    if (jobIds.length > 0) this.#recall(jobIds);
  }

  /** 1 when calls take long: further attempts would only be deferred again. */
  #recallDepth(target: Target): number {
    if (this.#isSlow(target)) return 1;
    return Math.max(2, Math.min(MAX_RECALLED, Math.floor(QUEUE_WAIT_MS / Math.max(1, target.tookMs))));
  }

  /** A limit of this target has room again: recalls others that wait for it. */
  #recallWaiting({ limits }: Target): void {
    for (const limit of limits) {
      const bulkhead = this.#bulkheads.of(limit);
      const free = bulkhead.limit - bulkhead.held;
      for (const waiting of [...bulkhead.waiting].slice(0, Math.max(0, free))) {
        bulkhead.waiting.delete(waiting);
        this.#recallNext(waiting);
        this.#trim(waiting);
      }
    }
  }

  #fullLimit({ limits }: Target): SharedLimit | undefined {
    return limits.find((limit) => !this.#bulkheads.of(limit).hasRoom);
  }

  #isSlow(target: Target): boolean {
    return Math.max(target.tookMs, this.#busyMs(target)) >= QUEUE_WAIT_MS;
  }

  #busyMs({ busySince }: Target): number {
    return busySince === null ? 0 : this.#clock.elapsed() - busySince;
  }

  #dropLost(target: Target): void {
    const now = this.#clock.elapsed();
    for (const [jobId, { returnAt }] of target.deferred) {
      if (returnAt + GRACE_MS > now) return;
      this.#remove(target, jobId);
    }
  }

  #remove(target: Target, jobId: string): boolean {
    const isKnown = target.deferred.delete(jobId);
    if (isKnown) this.#deferredCount--;
    return isKnown;
  }

  #targetOf({ target: key, limits }: Pick<TargetCall<unknown>, "target" | "limits">): Target {
    const known = this.#targets.get(key);
    // Limits may only change while the target is idle.
    if (known && known.busySince === null && known.line.length === 0) known.limits = limits;
    if (known) return known;
    const target: Target = { key, limits, busySince: null, tookMs: 0, line: [], deferred: new Map(), timer: null };
    this.#targets.set(key, target);
    return target;
  }

  /** Removes a target without calls and waiters. */
  #trim(target: Target): void {
    const { key, limits, busySince, line, deferred, timer } = target;
    if (deferred.size === 0) for (const limit of limits) this.#bulkheads.of(limit).waiting.delete(target);
    if (busySince !== null || line.length > 0 || deferred.size > 0) return;
    if (timer) clearTimeout(timer);
    target.timer = null;
    this.#targets.delete(key);
    this.#bulkheads.trim(limits);
  }
}
