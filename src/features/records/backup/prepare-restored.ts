import { statSync } from "node:fs";
import { sql } from "kysely";
import { COMMAND_LINE, runAs } from "../../../core/caller.ts";
import type { SealedBox } from "../../../core/crypto/sealed-box.ts";
import { parseQueueName, type QueueName } from "../../../core/limits/queues.ts";
import { silentLogger } from "../../../core/log.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { everyStreamOf } from "../../../live/stream.ts";
import { removeWorker, requeueLost, runningJobs } from "../../../store/commit/job-table.ts";
import { kyselyOver, ReadDriver } from "../../../store/commit/write-driver.ts";
import type { Trx } from "../../../store/database.ts";
import { Scanner } from "../../../store/scanner.ts";
import { loadAuditKey } from "../../../store/sealed-settings.ts";
import { putSetting } from "../../../store/setting-rows.ts";
import { closing, openForWriting, reading } from "../../../store/sqlite/connection.ts";
import { migrateFile, requireOwnSchema } from "../../../store/sqlite/migrate.ts";
import { sqliteCode } from "../../../store/sqlite/sqlite-errors.ts";
import { endClusterOf, openStore, type Store } from "../../../store/store.ts";
import { pausedKey } from "../../time/jobs/index.ts";
import { type AuditHead, AuditLog, auditHeadLine, lastAuditSeq, verifyAudit } from "../audit/index.ts";
import type { Manifest } from "./manifest.ts";
import { ArchiveRefused } from "./manifest.ts";

/**
 * Checks a database from an archive: its schema is this program's, the file is intact, references
 * resolve, and the audit chain is unbroken. The schema comes first: until it is checked, only
 * SQLite's own tables are used. Long checks run in a thread.
 * @returns its migrations. @throws ArchiveRefused, SchemaRefused, UnsealError when it was made with
 * another encryption key
 */
export async function checkDatabase(file: string, box: SealedBox): Promise<readonly string[]> {
  try {
    const { schema, auditKey } = firstLook(file, box);
    const scanner = new Scanner(file);
    try {
      await checkContent(scanner, auditKey);
    } finally {
      await scanner.close();
    }
    return schema;
  } catch (error) {
    if (!/^SQLITE_(NOTADB|CORRUPT)/.test(sqliteCode(error))) throw error;
    throw new ArchiveRefused("damaged", `the database is damaged: ${(error as Error).message}`, { cause: error });
  }
}

function firstLook(file: string, box: SealedBox): { schema: readonly string[]; auditKey: Uint8Array } {
  return reading(file, (connection) => {
    connection.pragma("cell_size_check = ON");
    const schema = requireOwnSchema(connection);
    const hasKey = connection.prepare("select 1 from settings where key = 'audit.key'").get() !== undefined;
    if (!hasKey) throw new ArchiveRefused("damaged", "the database has no audit key; no server has ever run on it");
    return { schema, auditKey: loadAuditKey(connection, box) };
  });
}

async function checkContent(scanner: Scanner, auditKey: Uint8Array): Promise<void> {
  const found = await scanner.query("pragma quick_check", []);
  const problems = found
    .flatMap((row) => Object.values(row as Record<string, unknown>))
    .filter((text) => text !== "ok");
  if (problems.length > 0) throw new ArchiveRefused("damaged", `the database is damaged: ${problems[0]}`);
  const [orphan] = (await scanner.query("pragma foreign_key_check", [])) as { table: string; parent: string }[];
  if (orphan)
    throw new ArchiveRefused(
      "damaged",
      `the database has a reference from ${orphan.table} to ${orphan.parent} that leads nowhere`,
    );
  const db = kyselyOver(
    new ReadDriver(async (sql, parameters) => ({ rows: await scanner.query(sql, parameters), changes: 0 })),
  );
  const verdict = await verifyAudit(db, auditKey, await lastAuditSeq(db));
  if (verdict.ok) return;
  const where = verdict.firstBad
    ? `row ${verdict.firstBad.seq} was changed, or one before it is gone`
    : "its last rows are gone";
  throw new ArchiveRefused("damaged", `the chain of the audit trail does not hold: ${where}`);
}

/** How far the counters of all streams are advanced, so that no old number is reused. */
export const OFFSET_JUMP = 1_000_000;

/**
 * Queues whose jobs reach people and external systems. Without a pause, messages sent after the
 * backup would be sent again.
 */
const OUTWARD_QUEUES: readonly QueueName[] = ["notification-delivery", "push-notification", "alert", "digest"];

interface Positions {
  readonly events: number;
  readonly streams: number;
}

/** Facts about the replaced data. */
export interface ReplacedData {
  readonly positions: Positions;
  readonly head: AuditHead | null;
}

interface RestoredDatabase {
  /** The database from the archive, which no other process has open. */
  readonly file: string;
  readonly box: SealedBox;
  readonly clock: Clock;
  readonly manifest: Pick<Manifest, "id" | "createdAt">;
  /** Null if there is none, or if it cannot be read. */
  readonly replaced: ReplacedData | null;
}

export interface PreparedRestore {
  readonly migrated: readonly string[];
  /** New positions of the counters. */
  readonly offsets: Positions;
  readonly paused: readonly string[];
  readonly head: AuditHead;
  /** The content of its `audit.head`. */
  readonly headLine: string;
}

/**
 * Prepares a checked database for a server: migrates it, and in one transaction with its
 * `backup.restore` record ends sessions, links, leases and requests that wait to be passed on, advances the counters,
 * adds a gap to every stream, and pauses the outward queues. Afterwards everything is in the file itself.
 * @throws UnsealError, and errors of SQLite
 */
export async function prepareRestored(restored: RestoredDatabase): Promise<PreparedRestore> {
  const { file, box } = restored;
  const migrated = migrateFile(file);
  closing(openForWriting({ file, busyTimeoutMs: 5000 }), endClusterOf);
  const prepared = await withStore(file, box, async (store) => {
    const { offsets, paused } = await runAs(COMMAND_LINE, () => change(store, restored));
    const head = store.reader.prepare<[], AuditHead>(LAST_AUDIT).get();
    if (!head) throw new Error("the restore was not recorded");
    return { migrated, offsets, paused, head, headLine: auditHeadLine(store.auditKey, head) };
  });
  const left = statSync(`${file}-wal`, { throwIfNoEntry: false });
  if (left && left.size > 0) throw new Error("the restored database's log could not be moved into it");
  return prepared;
}

const LAST_AUDIT = "select seq, hash from audit_log order by seq desc limit 1";

async function withStore<T>(file: string, box: SealedBox, work: (store: Store) => Promise<T>): Promise<T> {
  const store = openStore({
    file,
    box,
    writer: "main",
    isOwner: false,
    log: silentLogger,
    onCommit: () => undefined,
    onWriterDeath: () => undefined,
  });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function change(
  store: Store,
  { clock, manifest, replaced }: RestoredDatabase,
): Promise<Pick<PreparedRestore, "offsets" | "paused">> {
  const { database } = store;
  const now = clock.now();
  return database.write(async (trx) => {
    await sql`update receiver_requests
      set outcome = json_set(outcome, '$.forward', json('{"state":"dropped","reason":"restored"}'))
      where id in (select requestId from forwards)`.execute(trx);
    for (const table of [
      "refresh_tokens",
      "sessions",
      "one_time_tokens",
      "project_invitations",
      "workers",
      "forwards",
    ] as const)
      await trx.deleteFrom(table).execute();
    // A provider's refresh tokens are used once: the replaced server has used them since.
    await trx.updateTable("identities").set({ tokens: null, groupsAt: null }).where("tokens", "is not", null).execute();
    const returned = await dropLeases(trx, now);
    const restored = store.committer.sequences;
    const positions = replaced?.positions ?? { events: 0, streams: 0 };
    const offsets = {
      events: Math.max(positions.events, restored.events.last) + OFFSET_JUMP,
      streams: Math.max(positions.streams, restored.streams.last) + OFFSET_JUMP,
    };
    await moveCounters(trx, offsets, now);
    await noteGaps(trx, offsets);
    const paused = await pauseOutward(trx, now);
    await new AuditLog(database, clock).record(
      {
        action: "backup.restore",
        resourceType: "backup",
        resourceId: manifest.id,
        // Records the head of the replaced trail.
        metadata: { createdAt: manifest.createdAt, ...offsets, jobs: returned, replaced: headText(replaced) },
      },
      { trx },
    );
    return { offsets, paused };
  });
}

function headText(replaced: ReplacedData | null): string | null {
  return replaced?.head ? `${replaced.head.seq}:${replaced.head.hash}` : null;
}

/**
 * Jobs running at the time of the copy run again; the attempt counts, as after a crash. The next
 * start of the server ends those without attempts left and notifies their features.
 */
async function dropLeases(trx: Trx, now: number): Promise<number> {
  const running = await runningJobs(trx).execute();
  for (const job of running) {
    if (job.attempts < job.maxAttempts) await requeueLost(trx, job, now);
    else await removeWorker(trx, job);
  }
  return running.length;
}

/** As after a graceful stop (src/store/commit/sequences.ts). */
async function moveCounters(trx: Trx, offsets: Positions, now: number): Promise<void> {
  for (const name of ["events", "streams"] as const)
    for (const key of [`sequence.${name}`, `sequence.${name}.last`]) await putSetting(trx, key, offsets[name], now);
}

/** Nothing after the last restored entry can be read again, even if clients have seen more. */
async function noteGaps(trx: Trx, offsets: Positions): Promise<void> {
  const last = await sql<Positions>`select
    coalesce((select max(seq) from events), 0) as events,
    max(coalesce((select max(seq) from stream_log), 0),
      coalesce((select max(seq) from notification_recipients), 0)) as streams`.execute(trx);
  const kept = last.rows[0] ?? { events: 0, streams: 0 };
  for (const [counter, from, to] of [
    ["events", kept.events, offsets.events],
    ["log", kept.streams, offsets.streams],
  ] as const) {
    const stream = everyStreamOf(counter);
    // Merges a gap of an earlier restore that reaches this one.
    await trx.deleteFrom("stream_gaps").where("stream", "=", stream).where("fromSeq", ">=", from).execute();
    await trx.insertInto("stream_gaps").values({ stream, fromSeq: from, toSeq: to }).execute();
  }
}

/** @returns the queues that wait for `queue resume`; modules' jobs are unknown, so they wait. */
async function pauseOutward(trx: Trx, now: number): Promise<readonly string[]> {
  const { rows } = await sql<{ queue: string }>`
    select distinct queue from jobs where finishedAt is null and queue >= 'module:' and queue < 'module;'
    union select distinct queue from schedules where queue >= 'module:' and queue < 'module;'
    union select 'module:' || name from modules`.execute(trx);
  const modules = rows.map(({ queue }) => parseQueueName(queue)).filter((queue) => queue !== undefined);
  const paused = [...OUTWARD_QUEUES, ...modules];
  for (const queue of paused) await putSetting(trx, pausedKey(queue), 1, now);
  return paused;
}
