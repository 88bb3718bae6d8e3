import { type Clock, DAY_MS } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { AuditService } from "./audit.ts";
import { readAuditHead } from "./audit-head.ts";
import { CHECKPOINT_ACTION } from "./audit-log.ts";

const LOOK_EVERY_MS = 3_600_000;
/** Rows of one transaction: nobody else can write while it runs. */
const SLICE = 1000;

export interface AuditRetentionParts {
  readonly database: Database;
  readonly audit: AuditService;
  readonly clock: Clock;
  readonly dataDir: string;
  readonly log: Logger;
  /** Whether the clock may be believed. */
  readonly isClockTrusted: () => Promise<boolean>;
  /** Days that rows are kept; 0 keeps all. Asked each time. */
  days(): number;
}

/**
 * Removes the oldest rows of the audit trail (contract 12.9). Only from the beginning, in slices; each slice leaves a checkpoint at the end of the chain, in the
 * same transaction, that names the last row removed: what is left can be verified, and what is gone without a checkpoint is missed.
 */
export class AuditRetention {
  readonly #parts: AuditRetentionParts;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<unknown> = Promise.resolve();
  #isStopping = false;

  constructor(parts: AuditRetentionParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Waits for the slice under way. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#timer) clearInterval(this.#timer);
    await this.#running;
  }

  #look(): void {
    this.#running = this.run().catch((error: unknown) => {
      this.#parts.log.warn(
        { err: error },
        "old rows of the audit trail could not be removed; the next try is in an hour",
      );
    });
  }

  /** Removes what is older than it is kept, whole days (UTC) only, so that there is a checkpoint a day. @returns how many rows went. */
  async run(): Promise<number> {
    const { database, clock, dataDir, log } = this.#parts;
    const days = this.#parts.days();
    if (days === 0) return 0;
    const before = Math.floor(clock.now() / DAY_MS) * DAY_MS - days * DAY_MS;
    // Nearly always there is nothing to do, which shows without a transaction.
    const oldest = await database.read
      .selectFrom("audit_log")
      .select("timestamp")
      .orderBy("seq")
      .limit(1)
      .executeTakeFirst();
    if (!oldest || oldest.timestamp >= before || !(await this.#parts.isClockTrusted())) return 0;
    // The row that is noted outside the database stays, or the note could not be compared with anything.
    const noted = (await readAuditHead(dataDir))?.seq ?? Number.MAX_SAFE_INTEGER;
    let removed = 0;
    for (let inSlice = SLICE; inSlice === SLICE && !this.#isStopping; removed += inSlice)
      inSlice = await database.write((trx) => this.#removeSlice(before, noted, trx));
    if (removed > 0) log.info({ removed, days }, "old rows of the audit trail removed");
    return removed;
  }

  async #removeSlice(before: number, noted: number, trx: Trx): Promise<number> {
    const oldest = await trx
      .selectFrom("audit_log")
      .select(["seq", "hash", "timestamp"])
      .orderBy("seq")
      .limit(SLICE + 1)
      .execute();
    // Never the last row of all: the next one follows its hash. And none behind a younger one: a clock that was wrong removes nothing.
    const young = oldest.findIndex(
      (row, at) => row.timestamp >= before || row.seq >= noted || at === oldest.length - 1,
    );
    const old = oldest.slice(0, Math.min(young, SLICE));
    const last = old.at(-1);
    if (!last) return 0;
    await trx.insertInto("settings").values({ key: GATE, value: 1, updatedAt: before }).execute();
    await trx.deleteFrom("audit_log").where("seq", "<=", last.seq).execute();
    await trx.deleteFrom("settings").where("key", "=", GATE).execute();
    const metadata = { seq: last.seq, hash: last.hash, removed: old.length };
    await this.#parts.audit.record({ action: CHECKPOINT_ACTION, resourceType: "audit", metadata }, { trx });
    return old.length;
  }
}

/** While it is set, rows of the trail can be deleted; see the triggers of the table. */
const GATE = "audit.gate";
