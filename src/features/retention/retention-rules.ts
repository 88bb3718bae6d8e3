import { sql } from "kysely";
import { deleteJobs } from "../../store/commit/job-table.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { daysBefore, type RetentionRule, sweepOf } from "../../store/retention.ts";
import { ACCOUNT_SWEEPS } from "../access/index.ts";
import { DELIVERY_SWEEPS } from "../delivery/index.ts";
import { MESSAGE_SWEEPS } from "../messages/index.ts";
import { noteRemoved } from "../streams/index.ts";
import { SUPPRESSION_SWEEPS } from "./suppression-retention.ts";

const FINISHED_DAYS = 7;
const DEAD_DAYS = 30;
const RESOLVED_DAYS = 30;
const REVOKED_DAYS = 90;
const LOG_DAYS = 7;
const GONE_WORKER_MS = 3_600_000;
/** Entries of one stream in `stream_log`. */
const LOG_ENTRIES = 10_000;
const PUSHER_STREAM = "pusher:";

const idempotencyKeys: RetentionRule<{ scope: string; key: string }> = {
  name: "idempotency_keys",
  find: (scan, now, limit) =>
    scan
      .selectFrom("idempotency_keys")
      .select(["scope", "key"])
      .where("expiresAt", "<=", now)
      .orderBy("expiresAt")
      .limit(limit)
      .execute(),
  async remove(trx, keys, now) {
    let removed = 0;
    for (const { scope, key } of keys) {
      // A key whose time is over may have been used again.
      const { numDeletedRows } = await trx
        .deleteFrom("idempotency_keys")
        .where("scope", "=", scope)
        .where("key", "=", key)
        .where("expiresAt", "<=", now)
        .executeTakeFirst();
      removed += Number(numDeletedRows);
    }
    return removed;
  },
};

/** With their attempts. */
const jobs: RetentionRule<string> = {
  name: "jobs",
  async find(scan, now, limit) {
    const rows = await endedJobs(scan, now).orderBy("finishedAt").limit(limit).execute();
    return rows.map(({ id }) => id);
  },
  async remove(trx, ids, now) {
    // An operator may have had a dead one tried again.
    const rows = await endedJobs(trx, now).where("id", "in", ids).execute();
    const gone = rows.map(({ id }) => id);
    if (gone.length === 0) return 0;
    await deleteJobs(trx, gone);
    return gone.length;
  },
};

function endedJobs(db: ReadDb | Trx, now: number) {
  return db
    .selectFrom("jobs")
    .select("id")
    .where("finishedAt", "<=", daysBefore(now, FINISHED_DAYS))
    .where((e) => e.or([e("state", "<>", "dead"), e("finishedAt", "<=", daysBefore(now, DEAD_DAYS))]));
}

const eventFailures: RetentionRule<{ consumer: string; eventSeq: number }> = {
  name: "event_failures",
  find: (scan, now, limit) =>
    scan
      .selectFrom("event_failures")
      .select(["consumer", "eventSeq"])
      .where("resolvedAt", "<=", daysBefore(now, RESOLVED_DAYS))
      .limit(limit)
      .execute(),
  async remove(trx, keys, now) {
    let removed = 0;
    for (const { consumer, eventSeq } of keys) {
      const { numDeletedRows } = await trx
        .deleteFrom("event_failures")
        .where("consumer", "=", consumer)
        .where("eventSeq", "=", eventSeq)
        .where("resolvedAt", "<=", daysBefore(now, RESOLVED_DAYS))
        .executeTakeFirst();
      removed += Number(numDeletedRows);
    }
    return removed;
  },
};

function revoked(table: "api_keys" | "service_tokens"): RetentionRule<string> {
  return {
    name: table,
    async find(scan, now, limit) {
      const rows = await scan
        .selectFrom(table)
        .select("id")
        .where("revokedAt", "<=", daysBefore(now, REVOKED_DAYS))
        .limit(limit)
        .execute();
      return rows.map(({ id }) => id);
    },
    async remove(trx, ids) {
      const { numDeletedRows } = await trx.deleteFrom(table).where("id", "in", ids).executeTakeFirst();
      return Number(numDeletedRows);
    },
  };
}

/** Workers elsewhere whose lease ended an hour ago; not while a job is still in their name. */
function goneWorkers(db: ReadDb | Trx, now: number) {
  const held = sql<boolean>`exists (select 1 from jobs where jobs.workerId = workers.id and jobs.state = 'running')`;
  return db
    .selectFrom("workers")
    .select("id")
    .where("leaseUntil", "<=", now - GONE_WORKER_MS)
    .where((e) => e.not(held));
}

const workers: RetentionRule<string> = {
  name: "workers",
  find: async (scan, now, limit) => (await goneWorkers(scan, now).limit(limit).execute()).map(({ id }) => id),
  async remove(trx, ids, now) {
    const gone = (await goneWorkers(trx, now).where("id", "in", ids).execute()).map(({ id }) => id);
    if (gone.length > 0) await trx.deleteFrom("workers").where("id", "in", gone).execute();
    return gone.length;
  },
};

interface LogKey {
  readonly seq: number;
  readonly stream: string;
}

/** @param noted of which of them the stream is to say that they are gone. @returns how many rows were removed. */
async function removeLog(trx: Trx, keys: readonly LogKey[], noted = keys): Promise<number> {
  const seqs = keys.map(({ seq }) => seq);
  const { numDeletedRows } = await trx.deleteFrom("stream_log").where("seq", "in", seqs).executeTakeFirst();
  for (const stream of new Set(noted.map((key) => key.stream))) {
    const removed = noted.filter((key) => key.stream === stream);
    await noteRemoved(
      trx,
      stream,
      removed.map(({ seq }) => seq),
    );
  }
  return Number(numDeletedRows);
}

/**
 * {@link removeLog} of what is days old. Nobody comes back to a channel of Pusher's with an offset, and whoever triggers names as many as they like: notes of
 * what is gone would outlive all of them, for nobody to read.
 */
function removeOldLog(trx: Trx, keys: readonly LogKey[]): Promise<number> {
  return removeLog(
    trx,
    keys,
    keys.filter(({ stream }) => !stream.startsWith(PUSHER_STREAM)),
  );
}

const oldLog: RetentionRule<LogKey> = {
  name: "stream_log",
  find: (scan, now, limit) =>
    scan
      .selectFrom("stream_log")
      .select(["seq", "stream"])
      .where("createdAt", "<=", daysBefore(now, LOG_DAYS))
      .orderBy("seq")
      .limit(limit)
      .execute(),
  remove: removeOldLog,
};

/** What one stream has beyond its share, oldest first; stream by stream. */
const longLog: RetentionRule<LogKey> = {
  name: "stream_log",
  async find(scan, _now, limit) {
    const { rows } = await sql<{ stream: string; entries: number }>`
      select stream, count(*) as entries from stream_log group by stream having count(*) > ${LOG_ENTRIES} limit 1`.execute(
      scan,
    );
    const [long] = rows;
    if (!long) return [];
    return scan
      .selectFrom("stream_log")
      .select(["seq", "stream"])
      .where("stream", "=", long.stream)
      .orderBy("seq")
      .limit(Math.min(limit, long.entries - LOG_ENTRIES))
      .execute();
  },
  remove: (trx, keys) => removeLog(trx, keys),
};

/** What needs no configuration. A table of a feature to come is one more entry. */
export const RETENTION_SWEEPS = [
  sweepOf(idempotencyKeys),
  sweepOf(jobs),
  sweepOf(workers),
  sweepOf(eventFailures),
  sweepOf(revoked("service_tokens")),
  sweepOf(revoked("api_keys")),
  sweepOf(oldLog),
  sweepOf(longLog),
  ...SUPPRESSION_SWEEPS,
  ...ACCOUNT_SWEEPS,
  ...MESSAGE_SWEEPS,
  ...DELIVERY_SWEEPS,
];
