import { statSync } from "node:fs";
import type { Database as Sqlite } from "better-sqlite3";
import type { Logger } from "../base/log.ts";
import type { SealedBox } from "../base/sealed-box.ts";
import { loadAuditKey } from "./audit-key.ts";
import { Committer, type CommitterEvents } from "./committer.ts";
import { openForReading, openForWriting } from "./connection.ts";
import { Database } from "./database.ts";
import { LocalWriter } from "./local-writer.ts";
import { migrateUp } from "./migrate.ts";
import { Scanner } from "./scanner.ts";
import { markSequencesClean, markSequencesInUse, readSequences } from "./sequences.ts";
import { StatementCache } from "./statement-cache.ts";
import { ThreadWriter } from "./thread-writer.ts";
import type { WriterPort } from "./writer-port.ts";
import { WritingConnection } from "./writing-connection.ts";

export interface StoreOptions {
  readonly file: string;
  readonly box: SealedBox;
  /** Where the writing connection lives. */
  readonly writer: "main" | "thread";
  readonly maxBytes?: number | undefined;
  readonly log: Logger;
  readonly events: CommitterEvents;
  /** The writer thread is gone: nothing can be stored any more, and the process should end. */
  readonly onWriterDeath: (error: Error) => void;
}

/** The open database of a running server: the committer, Kysely for features, and a prepared-statement reader for the hot paths. */
export interface Store {
  readonly committer: Committer;
  readonly database: Database;
  readonly port: WriterPort;
  /** Read-only, in the main thread: short look-ups only. */
  readonly reader: Sqlite;
  sizes(): { databaseBytes: number; walBytes: number };
  /** Waits for what is in flight, leaves the counters' positions, moves the WAL into the database, closes everything. */
  close(): Promise<void>;
}

/** Opens the store of a server. The caller holds the data directory's lock; the schema is current or was migrated by it. */
export function openStore(options: StoreOptions): Store {
  const { file, log } = options;
  const setup = openForWriting({ file, busyTimeoutMs: 5000 });
  const auditKey = loadAuditKey(setup, options.box);
  const sequences = readSequences(setup);
  markSequencesInUse(setup);
  setup.close();

  const port = openPort(options, auditKey);
  const committer = new Committer(port, sequences, options.events);
  const reader = openForReading(file);
  const scanner = new Scanner(file);
  const database = new Database({ committer, port, reader: new StatementCache(reader), scanner, log });
  return {
    committer,
    database,
    port,
    reader,
    sizes: () => ({ databaseBytes: fileBytes(file), walBytes: fileBytes(`${file}-wal`) }),
    async close() {
      await committer.settled();
      await scanner.close();
      reader.close();
      await port.checkpoint().catch(() => undefined);
      await port.close();
      const teardown = openForWriting({ file, busyTimeoutMs: 5000 });
      markSequencesClean(teardown, sequences);
      teardown.close();
    },
  };
}

/** Opens, or makes, the database file and brings its schema up to date. @returns the migrations applied. @throws SchemaRefused */
export function migrateFile(file: string): readonly string[] {
  const connection = openForWriting({ file, busyTimeoutMs: 5000 });
  try {
    return migrateUp(connection);
  } finally {
    connection.close();
  }
}

function openPort({ file, maxBytes, writer, onWriterDeath }: StoreOptions, auditKey: Uint8Array): WriterPort {
  if (writer === "thread") {
    return new ThreadWriter({ options: { file, maxBytes, busyTimeoutMs: 5000 }, auditKey }, onWriterDeath);
  }
  return new LocalWriter(new WritingConnection(openForWriting({ file, maxBytes, busyTimeoutMs: 0 }), auditKey));
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
