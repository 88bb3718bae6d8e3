import { setTimeout as wait } from "node:timers/promises";
import { PrismError } from "../../../core/errors.ts";
import { type EpochMs, MINUTE_MS } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { PageFailure } from "./failures.ts";
import {
  type AcceptedPage,
  type BounceResult,
  MIRROR,
  type NotSent,
  type PageFollower,
  type PageKind,
  type PageKindName,
  type PageRow,
} from "./page.ts";
import { putOff, type Waiting } from "./page-queue.ts";
import { findPages, pageBegun, updatePage } from "./store.ts";

interface Delivered extends AcceptedPage {
  readonly attempts: number;
  /** Epoch ms. */
  readonly startedAt: number;
}

interface Attempted {
  readonly error: string;
  readonly attempts: number;
  /** Epoch ms; null: it waited behind others. */
  readonly startedAt: number | null;
  /** It counts as failed from now on. */
  readonly isFailed: boolean;
  /** Nothing more is sent. */
  readonly isOver: boolean;
  /** The service says that the target no longer exists. */
  readonly isGone: boolean;
  /** Answers that were lost so far, of a page that rings. */
  readonly lost: number;
}

type Outcome =
  | ({ readonly is: "delivered" } & Delivered)
  | ({ readonly is: "attempted" } & Attempted)
  | { readonly is: "skipped"; readonly note: string; readonly record?: AcceptedPage["record"] };

type Pending = readonly [id: string, outcome: Outcome];
type Accept = Awaited<ReturnType<NonNullable<PageFollower["accepting"]>>>;

/** The store takes no write, whatever it is. */
const STORE_REFUSES: ReadonlySet<string> = new Set(["STORAGE_FULL", "DATABASE_UNAVAILABLE", "SHUTTING_DOWN"]);
/** Nor may an outcome be stored without what follows: that can be stored later. A queue may be full, too. */
const REFUSED_FOR_NOW: ReadonlySet<string> = new Set([...STORE_REFUSES, "OVERLOADED"]);
const ROWS_AT_ONCE = 64;
const RETRY_MS = 1000;
/** At least this long between two writes. */
const SHARED_MS = 20;

type RecordParts = Uses<"db" | "clock" | "log">;

/**
 * Stores what came of attempts, several in one transaction. While nothing can be stored it keeps the
 * last outcome of each page in memory: pages are sent without a write, and recorded later.
 */
export class PageRecords {
  readonly followers: PageFollower[] = [];
  readonly #parts: RecordParts;
  readonly #kinds: ReadonlyMap<PageKindName, PageKind>;
  readonly #pending = new Map<string, Outcome>();
  /** Pending ones that could not be stored where others could: they are tried again after a pause. */
  readonly #refused = new Set<string>();
  /** Called when the outcome of a page is stored. */
  readonly #whenStored = new Map<string, () => void>();
  #writing: Promise<void> | null = null;
  #isStopped = false;
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(parts: RecordParts, kinds: ReadonlyMap<PageKindName, PageKind>) {
    this.#parts = parts;
    this.#kinds = kinds;
  }

  delivered(id: string, delivered: Delivered): void {
    this.#add(id, { is: "delivered", ...delivered });
  }

  attempted(id: string, attempted: Attempted): void {
    const earlier = this.#pending.get(id);
    // An outcome that is not stored yet keeps what follows from it.
    const isFailed = attempted.isFailed || (earlier?.is === "attempted" && earlier.isFailed);
    this.#add(id, { is: "attempted", ...attempted, isFailed });
  }

  skipped(id: string, { skipped: note, ...rest }: NotSent): void {
    this.#add(id, { is: "skipped", note, ...rest });
  }

  /**
   * Counts attempts of pages that ring before their call, if that can be stored: after a kill it is
   * unknown whether they arrived.
   */
  async begun(pages: readonly Waiting[], startedAt: EpochMs): Promise<void> {
    const { db, log } = this.#parts;
    // The transaction that added a page ends first: its effects start the call.
    await new Promise(setImmediate);
    await db
      .write(async (trx) => {
        for (const { facts, lost } of pages) await pageBegun(trx, facts.id, lost, startedAt);
      })
      .catch((error: unknown) => log.warn({ err: error }, "cannot count an attempt"));
  }

  /** Another process has sent the page, or it was ended: its delivery is stored already. */
  async endedElsewhere(trx: Trx, id: string, outcome: "delivered" | "skipped", answer: string | null): Promise<void> {
    const [row] = await findPages(trx, [id]);
    if (!row || row.endedAt !== null) return;
    const now = this.#parts.clock.now();
    const end = outcome === "delivered" ? { answer, note: null, deliveredAt: now } : { note: answer };
    updatePage(trx, id, { outcome, ...end, updatedAt: now, endedAt: now });
    addEffect(trx, { type: "pages-changed", ended: [id] });
    const after = { ...row, outcome, ...end, endedAt: now };
    if (outcome === "delivered") await this.#accepted(trx, [after]);
  }

  /**
   * Resolves when the outcome of the page is stored; null: none waits to be, or only its own row does.
   * One caller for each page. @param always also if only its own row does
   */
  stored(id: string, always: boolean): Promise<void> | null {
    const outcome = this.#pending.get(id);
    if (!outcome || !(always || (outcome.is !== "attempted" && outcome.record))) return null;
    return new Promise((resolve) => this.#whenStored.set(id, resolve));
  }

  /** The acceptance of a mail is taken back; what follows from a failed way follows. */
  bounced(id: string, error: string): Promise<BounceResult> {
    const { db, clock } = this.#parts;
    return db.write(async (trx) => {
      const [row] = await findPages(trx, [id]);
      if (row?.channel !== "email" || row.outcome === "overtaken" || row.outcome === "skipped") return "unknown";
      if (row.outcome !== "delivered") return row.endedAt === null ? "early" : "repeated";
      const now = clock.now();
      const changes = { outcome: "failed", lastError: error, failedAt: now, deliveredAt: null } as const;
      updatePage(trx, id, { ...changes, updatedAt: now });
      const after = { ...row, ...changes, updatedAt: now };
      await this.#kinds.get(row.kind)?.changed?.(trx, after);
      for (const follower of this.followers) {
        await follower.returned?.(trx, after);
        await follower.failed(trx, [after]);
      }
      return "failed";
    });
  }

  /** Resolves when everything is stored but what the store refused: that is tried again later. */
  async idle(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#tryRefused();
    await this.idle();
  }

  #add(id: string, outcome: Outcome): void {
    this.#pending.set(id, outcome);
    this.#refused.delete(id);
    this.#start();
  }

  #start(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
      if (this.#hasNext && !this.#isStopped) this.#start();
    });
  }

  get #hasNext(): boolean {
    return this.#pending.size > this.#refused.size;
  }

  #tryRefused(): void {
    this.#refused.clear();
    if (this.#hasNext) this.#start();
  }

  #refuse(id: string): void {
    if (this.#refused.size === 0) setTimeout(() => this.#isStopped || this.#tryRefused(), RETRY_MS).unref();
    this.#refused.add(id);
  }

  async #write(): Promise<void> {
    // Outcomes of the same turn of the event loop share a transaction.
    await new Promise(setImmediate);
    while (this.#hasNext) {
      // So does what ends shortly after a write: in a storm there are few commits.
      const pauseMs = this.#isStopped ? 0 : this.#writtenAt + SHARED_MS - performance.now();
      if (pauseMs > 0) await wait(pauseMs);
      const batch = [...this.#pending].filter(([id]) => !this.#refused.has(id)).slice(0, ROWS_AT_ONCE);
      try {
        await this.#store(batch);
        this.#writtenAt = performance.now();
      } catch (error) {
        this.#parts.log.error({ err: error }, "cannot store outcomes of pages; retrying");
        if (this.#isStopped) return;
        await wait(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  #isStored([id, outcome]: Pending): void {
    if (this.#pending.get(id) !== outcome) return;
    this.#pending.delete(id);
    this.#whenStored.get(id)?.();
    this.#whenStored.delete(id);
  }

  /** One by one after an error. */
  async #store(batch: readonly Pending[]): Promise<void> {
    const { db, log } = this.#parts;
    try {
      await db.write((trx) => this.#apply(trx, batch, true));
      for (const each of batch) this.#isStored(each);
    } catch (error) {
      log.warn({ err: error }, "cannot store outcomes of pages together; storing them one by one");
      for (const each of batch) await this.#storeAlone(each);
    }
  }

  /** An outcome is stored in any case, without what follows if that throws. @throws if the store takes none */
  async #storeAlone(pending: Pending): Promise<void> {
    const { db, log } = this.#parts;
    const [id, outcome] = pending;
    try {
      await db
        .write((trx) => this.#apply(trx, [pending], true))
        .catch(async (error: unknown) => {
          if (isOneOf(REFUSED_FOR_NOW, error)) throw error;
          log.error({ err: error, page: id }, "handling the outcome of a page failed");
          await db.write((trx) => this.#apply(trx, [pending], false));
        });
      this.#isStored(pending);
    } catch (error) {
      if (this.#pending.get(id) !== outcome) return;
      // Last: it may be this one that the store takes too long for.
      this.#pending.delete(id);
      this.#pending.set(id, outcome);
      if (isOneOf(STORE_REFUSES, error)) throw error;
      this.#refuse(id);
      log.error({ err: error, page: id }, "cannot store the outcome of a page; retrying");
    }
  }

  async #apply(trx: Trx, batch: readonly Pending[], follows: boolean): Promise<void> {
    const ids = batch.map(([id]) => id);
    const rows = new Map((await findPages(trx, ids)).map((row) => [row.id, row]));
    const early = follows ? await this.#readEarly(trx, batch, rows) : [];
    const delivered: PageRow[] = [];
    const failed: PageRow[] = [];
    const mirrored: PageRow[] = [];
    const ended: string[] = [];
    for (const [id, outcome] of batch) {
      const row = rows.get(id);
      if (!row) continue;
      const after = await this.#applyOne(trx, row, outcome);
      if (after === undefined) continue;
      if (after.endedAt !== null) ended.push(id);
      if (outcome.is === "delivered") delivered.push(after);
      else if (outcome.is === "skipped" && outcome.note === MIRROR) mirrored.push(after);
      else if (outcome.is === "attempted" && outcome.isFailed) failed.push(after);
    }
    if (ended.length > 0) addEffect(trx, { type: "pages-changed", ended });
    if (!follows) return;
    for (const accept of early) await accept(delivered);
    if (early.length === 0 && delivered.length > 0) await this.#accepted(trx, delivered);
    for (const follower of this.followers) {
      if (mirrored.length > 0) await follower.mirrored?.(trx, mirrored);
      if (failed.length > 0) await follower.failed(trx, failed);
    }
  }

  /** What followers read for acceptances, unless the record of an answer may change it. */
  async #readEarly(trx: Trx, batch: readonly Pending[], rows: ReadonlyMap<string, PageRow>): Promise<Accept[]> {
    if (batch.some(([, outcome]) => outcome.is !== "attempted" && outcome.record)) return [];
    const pages = batch.flatMap(([id, outcome]) => (outcome.is === "delivered" ? (rows.get(id) ?? []) : []));
    return pages.length === 0 ? [] : this.#accepting(trx, pages);
  }

  async #accepted(trx: Trx, pages: readonly PageRow[]): Promise<void> {
    for (const accept of await this.#accepting(trx, pages)) await accept(pages);
  }

  async #accepting(trx: Trx, pages: readonly PageRow[]): Promise<Accept[]> {
    const all: Accept[] = [];
    for (const follower of this.followers) {
      const accept = await follower.accepting?.(trx, pages);
      if (accept) all.push(accept);
    }
    return all;
  }

  /** @returns the row afterwards; undefined if it had ended */
  async #applyOne(trx: Trx, row: PageRow, outcome: Outcome): Promise<PageRow | undefined> {
    const now = this.#parts.clock.now();
    // A message that was on its way when its page was overtaken has arrived all the same.
    if (row.endedAt !== null && (outcome.is !== "delivered" || row.outcome === "delivered")) return undefined;
    const after = { ...row, ...valuesOf(row, outcome, now) };
    const { outcome: state, note, attempts, firstAttemptAt, failedAt, lastError, answer, deliveredAt, endedAt } = after;
    const times = { firstAttemptAt, failedAt, deliveredAt, endedAt };
    const changes = { note, attempts, lastError, answer, lostAnswers: after.lostAnswers, ...times };
    updatePage(trx, row.id, { ...changes, outcome: state, updatedAt: now });
    if (outcome.is !== "attempted") await outcome.record?.(trx);
    const kind = this.#kinds.get(row.kind);
    if (outcome.is === "attempted" && outcome.isGone) await kind?.gone?.(trx, after);
    await kind?.changed?.(trx, after);
    return after;
  }
}

function isOneOf(codes: ReadonlySet<string>, error: unknown): boolean {
  return error instanceof PrismError && codes.has(error.code);
}

function valuesOf(row: PageRow, outcome: Outcome, now: number): Partial<PageRow> {
  switch (outcome.is) {
    case "delivered": {
      const { attempts, startedAt, answer } = outcome;
      const times = { firstAttemptAt: row.firstAttemptAt ?? startedAt, deliveredAt: now, endedAt: now };
      return { outcome: "delivered", note: null, attempts, answer, lastError: null, ...times };
    }
    case "skipped":
      return { outcome: "skipped", note: outcome.note, endedAt: now };
    default: {
      const { error, attempts, startedAt, isFailed, isOver, lost: lostAnswers } = outcome;
      const failedAt = row.failedAt ?? (isFailed ? now : null);
      const firstAttemptAt = row.firstAttemptAt ?? startedAt;
      const state = failedAt === null ? "trying" : "failed";
      const end = { endedAt: isOver ? now : null, lostAnswers };
      return { outcome: state, attempts, firstAttemptAt, failedAt, lastError: error, ...end };
    }
  }
}

/* Pages that ring or cost, such as calls and SMS: one whose answer was lost may have arrived. */

/** From start to start, the last one repeats: 3 repetitions in any 15 minutes. */
const PAUSES_MS = [30_000, 6 * MINUTE_MS] as const;

/** @param lost answers of the message so far */
function pauseMs(lost: number): number {
  return PAUSES_MS[lost - 1] ?? 6 * MINUTE_MS;
}

/** An attempt has failed. @param startedAt elapsed ms */
export function noteLost(page: Waiting, failure: PageFailure, startedAt: number): void {
  if (page.facts.rings === 0) return;
  if (failure.is === "network" && failure.isLost) putOff(page, failure.text, startedAt + pauseMs(page.lost));
  else page.lost -= 1;
}

/**
 * After a restart: its process may have ended before the answer. @param lostAt start of that
 * attempt, elapsed ms
 */
export function resumeLost(page: Waiting, lostAt: number): void {
  if (page.lost === 0) return;
  const until = Math.max(page.notBefore, lostAt + pauseMs(page.lost));
  putOff(page, "the server stopped before the answer to the message", until);
}

export interface AttemptTimes {
  readonly startedAt: number;
  readonly startedWall: number;
  readonly timedOut: boolean;
}
