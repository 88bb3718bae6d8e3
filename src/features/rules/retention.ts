import { DAY_MS } from "../../core/clock.ts";
import { daysBefore, type RetentionRule, sweepOf, sweepRows } from "../../store/retention.ts";

/** The longest window of a rule, plus an hour for a clock that was set back. */
const WINDOW_MS = DAY_MS + 3_600_000;
const BATCH_DAYS = 7;

const windows: RetentionRule<{ ruleId: string; key: string; bucketStart: number }> = {
  name: "suppression_windows",
  find: (scan, now, limit) =>
    scan
      .selectFrom("suppression_windows")
      .select(["ruleId", "key", "bucketStart"])
      .where("bucketStart", "<=", now - WINDOW_MS)
      .limit(limit)
      .execute(),
  async remove(trx, keys) {
    for (const { ruleId, key, bucketStart } of keys)
      await trx
        .deleteFrom("suppression_windows")
        .where("ruleId", "=", ruleId)
        .where("key", "=", key)
        .where("bucketStart", "=", bucketStart)
        .execute();
    return keys.length;
  },
};

/** Before their batches: a batch can have many. */
const keysOfClosed: RetentionRule<{ batchId: string; key: string }> = {
  name: "suppressed_keys",
  find: (scan, now, limit) =>
    scan
      .selectFrom("suppressed_batches as b")
      .innerJoin("suppressed_keys as k", "k.batchId", "b.id")
      .select(["k.batchId", "k.key"])
      .where("b.closedAt", "<=", daysBefore(now, BATCH_DAYS))
      .limit(limit)
      .execute(),
  async remove(trx, keys) {
    for (const { batchId, key } of keys)
      await trx.deleteFrom("suppressed_keys").where("batchId", "=", batchId).where("key", "=", key).execute();
    return keys.length;
  },
};

const closedBatches = sweepRows("suppressed_batches", (db, now) =>
  db.selectFrom("suppressed_batches").select("id").where("closedAt", "<=", daysBefore(now, BATCH_DAYS)),
);

const ABSENCE_DAYS = 30;

/** Keys that stayed away. */
const absences: RetentionRule<{ ruleId: string; projectId: string; key: string }> = {
  name: "rule_absences",
  find: (scan, now, limit) =>
    scan
      .selectFrom("rule_absences")
      .select(["ruleId", "projectId", "key"])
      .where("firedAt", "<=", daysBefore(now, ABSENCE_DAYS))
      .limit(limit)
      .execute(),
  async remove(trx, keys) {
    for (const { ruleId, projectId, key } of keys)
      await trx
        .deleteFrom("rule_absences")
        .where("ruleId", "=", ruleId)
        .where("projectId", "=", projectId)
        .where("key", "=", key)
        .execute();
    return keys.length;
  },
};

/** Removes the rows of finished storms, and of absences that lasted too long. */
export const SUPPRESSION_SWEEPS = [sweepOf(windows), sweepOf(keysOfClosed), closedBatches, sweepOf(absences)];
