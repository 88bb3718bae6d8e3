import { runAs, SYSTEM } from "../../../core/caller.ts";
import { DAY_MS } from "../../../core/time/clock.ts";
import type { Trx } from "../../../store/database.ts";
import type { NamedSweep } from "../../../store/retention.ts";
import { readAuditHead } from "./audit-head.ts";
import type { AuditTrail } from "./audit-log.ts";
import { CHECKPOINT_ACTION } from "./audit-log.ts";

/** Rows per transaction, during which all other writes wait. */
const SLICE = 1000;
/** While this setting exists, rows of the trail can be deleted; see the triggers of the table. */
const GATE = "audit.gate";

interface AuditSweepParts {
  readonly audit: AuditTrail;
  readonly dataDir: string;
  /** Days to keep; 0 keeps all. Read each time. */
  days(): number;
}

/**
 * Removes the oldest rows of the audit trail in whole UTC days, so that there is one checkpoint a
 * day. Works from the start, in slices. Each slice appends a checkpoint in the same transaction
 * that names the last removed row: the rest can be verified, and rows missing without a checkpoint
 * are detected.
 */
export function auditSweep({ audit, dataDir, days }: AuditSweepParts): NamedSweep {
  return {
    name: "audit_log",
    async sweep(db, now, isStopped) {
      if (days() === 0) return 0;
      const before = Math.floor(now / DAY_MS) * DAY_MS - days() * DAY_MS;
      // Usually there is nothing to remove, which needs no transaction.
      const oldest = await db.read
        .selectFrom("audit_log")
        .select("timestamp")
        .orderBy("seq")
        .limit(1)
        .executeTakeFirst();
      if (!oldest || oldest.timestamp >= before) return 0;
      // Keeps the row recorded outside the database: the record could not be compared otherwise.
      const noted = (await readAuditHead(dataDir))?.seq ?? Number.MAX_SAFE_INTEGER;
      let removed = 0;
      for (let inSlice = SLICE; inSlice === SLICE && !isStopped(); removed += inSlice)
        // The checkpoint is Prism's own, whatever started the sweep.
        inSlice = await runAs(SYSTEM, () => db.write((trx) => removeSlice(trx, audit, before, noted)));
      return removed;
    },
  };
}

async function removeSlice(trx: Trx, audit: AuditTrail, before: number, noted: number): Promise<number> {
  const oldest = await trx
    .selectFrom("audit_log")
    .select(["seq", "hash", "timestamp"])
    .orderBy("seq")
    .limit(SLICE + 1)
    .execute();
  // Keeps the last row, because the next one follows its hash. Keeps rows after a younger one: a
  // wrong clock removes nothing.
  const young = oldest.findIndex((row, at) => row.timestamp >= before || row.seq >= noted || at === oldest.length - 1);
  const old = oldest.slice(0, Math.min(young, SLICE));
  const last = old.at(-1);
  if (!last) return 0;
  await trx.insertInto("settings").values({ key: GATE, value: 1, updatedAt: before }).execute();
  await trx.deleteFrom("audit_log").where("seq", "<=", last.seq).execute();
  await trx.deleteFrom("settings").where("key", "=", GATE).execute();
  const metadata = { seq: last.seq, hash: last.hash, removed: old.length };
  await audit.record({ action: CHECKPOINT_ACTION, resourceType: "audit", metadata }, { trx });
  return old.length;
}
