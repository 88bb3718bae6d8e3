import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import type { Database as Sqlite } from "better-sqlite3";
import type { SealedBox } from "../core/crypto/sealed-box.ts";
import { DataDirRefused } from "../core/data-dir.ts";
import type { Logger } from "../core/log.ts";
import { within } from "../core/promises.ts";
import { Committer, type OnCommit } from "./commit/committer.ts";
import {
  markSequencesClean,
  markSequencesInUse,
  REPLICATED_BLOCKS,
  readSequences,
  type Sequences,
} from "./commit/sequences.ts";
import { SmallWrites } from "./commit/small-writes.ts";
import { ThreadWriter } from "./commit/thread-writer.ts";
import { type AdaptiveParts, AdaptiveWriter, LocalWriter, NoWriter, type WriterPort } from "./commit/writers.ts";
import { WritingConnection } from "./commit/writing-connection.ts";
import { Database } from "./database.ts";
import { Scanner } from "./scanner.ts";
import { loadAuditKey, noteServerKeys } from "./sealed-settings.ts";
import { closing, openForReading, openForWriting, PageUsage, StatementCache } from "./sqlite/connection.ts";
import { foreignSchema } from "./sqlite/migrate.ts";
import { lastBackupAt } from "./sqlite/snapshot.ts";
import { BEAT_SQL, Beats, lostCommits, notedBeat, storedBeat, WriteHealth } from "./write-health.ts";

export interface StoreOptions {
  readonly file: string;
  readonly box: SealedBox;
  /** The writing connection's thread: `adaptive` moves from `main` to `thread` under load, and back. */
  readonly writer: "main" | "thread" | "adaptive";
  /**
   * True for a core, which holds the data directory's lock and gives the offsets; false for a
   * restore, which prepares a file that no core has opened.
   */
  readonly isOwner: boolean;
  /** Where reads of many rows run; a short command has no one to delay. */
  readonly scansIn?: "thread" | "main";
  /** Why nothing may be written; null or absent: everything may. Without it the box is never used. */
  readonly readsOnly?: Error | null;
  /** File outside the database in which the server records its progress. */
  readonly beatFile?: string | undefined;
  readonly maxBytes?: number | undefined;
  /** How commits are replicated; the writer is a thread then. */
  readonly replication?: object | undefined;
  /** How long another process's lock on the file is waited for before a write fails. */
  readonly busyTimeoutMs?: number | undefined;
  readonly log: Logger;
  readonly onCommit: OnCommit;
  /** The writer thread has died: nothing can be stored, and the process should exit. */
  readonly onWriterDeath: (error: Error) => void;
}

/** The open database: committer, Kysely for features, and a reader for the hot paths. */
export interface Store {
  readonly committer: Committer;
  readonly database: Database;
  readonly port: WriterPort;
  /** Read-only, in the main thread: for short look-ups only. */
  readonly reader: Sqlite;
  /** Verifies the audit chain; other keys derive from it. */
  readonly auditKey: Uint8Array;
  /** Findings at start that an operator must know. */
  readonly warnings: readonly string[];
  /** Whether commits reach the disk. */
  readonly health: WriteHealth;
  /** Commits a row that needs space. @returns whether it is on disk */
  canWrite(): Promise<boolean>;
  sizes(): { databaseBytes: number; walBytes: number };
  /** Bytes of the database that are in use: its pages without the free ones. */
  usedBytes(): number;
  /** Gives memory that the thread of the writer no longer uses back to the system. */
  collect(): Promise<void>;
  /** When the newest backup was made, as the audit trail records it; null when there is none. */
  lastBackupAt(): number | null;
  /**
   * Waits for the current holder of the writer, stores the counters' positions, moves the WAL into
   * the database, closes everything.
   * @param limitMs time after which the rest is left to the next start, which reads the WAL, so
   * nothing is lost.
   */
  close(limitMs?: number): Promise<void>;
}

/** Nothing is signed with a random key: no row can be added. */
const AUDIT_KEY_BYTES = 32;
const BUSY_TIMEOUT_MS = 5000;
const LOCAL_BUSY_MS = 100;

/**
 * Opens the store. The schema must be current. @throws DataDirRefused, UnsealError when the
 * encryption key is another one
 */
export function openStore(options: StoreOptions): Store {
  const { file, log } = options;
  const isOwner = options.isOwner && !options.readsOnly;
  const reader = openForReading(file);
  const usage = new PageUsage(reader);
  const { auditKey, sequences, warnings, lastBeat } = prepareBeside(reader, options);
  const port = openPort(options, auditKey, (fn) => committer.alone(fn));
  const onCommit: OnCommit = (durationMs, events) => {
    options.onCommit(durationMs, events);
    if (log.isDebug()) log.debug({ durationMs, events }, "commit is on disk");
  };
  const committer: Committer = new Committer(port, sequences, onCommit);
  const scanner = options.scansIn === "main" ? null : new Scanner(file);
  const database = new Database({ committer, port, reader: new StatementCache(reader), scanner, log });
  const writes = new SmallWrites(committer, port);
  const health = new WriteHealth({ file, record: committer.record, log, probe: () => writes.probe() });
  const beats =
    options.beatFile === undefined
      ? null
      : new Beats({
          databaseFile: file,
          beatFile: options.beatFile,
          last: lastBeat,
          commits: () => committer.record.commits,
          commit: (beat) => writes.commit([{ sql: BEAT_SQL, parameters: [beat, Date.now()] }]),
        });
  return {
    committer,
    database,
    port,
    reader,
    auditKey,
    warnings,
    health,
    canWrite: () => writes.probe(),
    sizes: () => ({ databaseBytes: fileBytes(file), walBytes: fileBytes(`${file}-wal`) }),
    usedBytes: () => usage.usedBytes(),
    lastBackupAt: () => lastBackupAt(reader),
    async collect() {
      await port.ask({ op: "collect" });
    },
    async close(limitMs) {
      let isOver = false;
      const closing = (async () => {
        await committer.close();
        await beats?.stop();
        await scanner?.close();
        reader.close();
        if (isOwner && !isOver) await port.checkpoint().catch(() => undefined);
        // Closing the last connection would move the WAL too.
        if (isOver) return;
        await port.close();
        // Only what is in the log may be written to a file of a cluster.
        if (isOwner && options.replication === undefined) leaveSequences(options, sequences);
      })();
      if (limitMs === undefined) return closing;
      await within(limitMs, closing).finally(() => {
        isOver = true;
        // Pending work must not keep the process alive.
        port.unref();
      });
      closing.catch(() => undefined);
    },
  };
}

interface Prepared {
  readonly auditKey: Uint8Array;
  readonly sequences: Sequences;
  readonly warnings: readonly string[];
  readonly lastBeat: number;
}

/** {@link prepare} with a reader open, which is closed if that throws. */
function prepareBeside(reader: Sqlite, options: StoreOptions): Prepared {
  try {
    // A connection that has read keeps the WAL: the last one to close would move and delete it.
    reader.prepare("select 1 from sqlite_schema").get();
    return prepare(options);
  } catch (error) {
    reader.close();
    throw error;
  }
}

/** Reads the counters and the audit chain on a temporary connection. */
function prepare({ file, box, isOwner, readsOnly, beatFile, log, replication }: StoreOptions): Prepared {
  const connection = openForWriting({ file, busyTimeoutMs: BUSY_TIMEOUT_MS });
  try {
    if (isOwner && !readsOnly && replication === undefined) requireAlone(connection);
    const auditKey = readsOnly ? randomBytes(AUDIT_KEY_BYTES) : loadAuditKey(connection, box);
    const sequences = readSequences(connection, replication === undefined ? undefined : REPLICATED_BLOCKS);
    const warnings: string[] = [];
    if (isOwner && !readsOnly) {
      markSequencesInUse(connection);
      noteServerKeys(connection, box);
      const lost = beatFile === undefined ? null : lostCommits(connection, beatFile, file);
      if (lost !== null) warnings.push(lost);
      const foreign = foreignSchema(connection);
      if (foreign !== null) log.error({ foreign }, "the database has objects that a restore refuses; remove them");
    }
    for (const warning of warnings) log.error({}, warning);
    const noted = beatFile === undefined ? 0 : notedBeat(beatFile, file);
    return { auditKey, sequences, warnings, lastBeat: Math.max(noted, storedBeat(connection)) };
  } finally {
    connection.close();
  }
}

/** Lets a file that belonged to a cluster be used alone. */
export function endClusterOf(connection: Sqlite): void {
  connection.prepare("delete from local_state where key = 'cluster.position'").run();
  // What its leaders have noted, such as the last drill.
  connection.prepare("delete from settings where key >= 'cluster.' and key < 'cluster/'").run();
}

/** @throws DataDirRefused for the file of a node, where a write beside the log would make it differ */
export function requireAlone(connection: Sqlite): void {
  const isThere = connection.prepare("select 1 from sqlite_schema where name = 'local_state'").get();
  if (!isThere) return;
  const position = connection.prepare("select 1 from local_state where key = 'cluster.position'").get();
  if (position === undefined) return;
  throw new DataDirRefused(
    "the database belongs to a cluster: start prism serve with cluster.servers here, or name a node that runs (--url); " +
      "to go on without the cluster: prism cluster leave",
  );
}

/**
 * If this cannot be written, on a full disk for instance, the next start uses the next block of
 * numbers, as after a crash.
 */
function leaveSequences({ file, log }: StoreOptions, sequences: Sequences): void {
  try {
    closing(openForWriting({ file, busyTimeoutMs: BUSY_TIMEOUT_MS }), (connection) =>
      markSequencesClean(connection, sequences),
    );
  } catch (error) {
    log.warn({ err: error }, "cannot store the counters; the next start skips some numbers");
  }
}

function openPort(options: StoreOptions, auditKey: Uint8Array, alone: AdaptiveParts["alone"]): WriterPort {
  const { file, maxBytes, writer, log, onWriterDeath, replication, busyTimeoutMs = BUSY_TIMEOUT_MS } = options;
  if (options.readsOnly) return new NoWriter(options.readsOnly);
  const openThread = (onDeath: (error: Error) => void): WriterPort =>
    new ThreadWriter({ options: { file, maxBytes, busyTimeoutMs }, auditKey, replication }, onDeath);
  if (writer === "thread" || replication !== undefined) return openThread(onWriterDeath);
  // SQLite waits inside the event loop; only a tool beside Prism, which is alone, can hold the file.
  const localOptions = { file, maxBytes, busyTimeoutMs: Math.min(busyTimeoutMs, LOCAL_BUSY_MS) };
  const openLocal = (): WriterPort =>
    new LocalWriter(new WritingConnection(openForWriting(localOptions), auditKey, maxBytes));
  const local = openLocal();
  if (writer === "main") return local;
  const adaptive: AdaptiveWriter = new AdaptiveWriter({
    local,
    openLocal,
    // A thread that dies before it is used has broken nothing.
    openThread: () =>
      openThread((error) => {
        if (adaptive.isInThread) onWriterDeath(error);
      }),
    alone,
    onMoved(place, error) {
      if (error) log.warn({ err: error, place }, "the writer stays where it is");
      else if (place === "thread") log.debug({}, "moved the writer to a thread of its own");
      else log.debug({}, "moved the writer back to the main thread");
    },
  });
  return adaptive;
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
