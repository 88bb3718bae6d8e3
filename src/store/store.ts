import { statSync } from "node:fs";
import type { Database as Sqlite } from "better-sqlite3";
import type { Logger } from "../base/log.ts";
import type { SealedBox } from "../base/sealed-box.ts";
import { loadAuditKey } from "./audit-key.ts";
import { Committer, type OnCommit } from "./committer.ts";
import { openForReading, openForWriting } from "./connection.ts";
import { Database } from "./database.ts";
import { LocalWriter } from "./local-writer.ts";
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
  /** True for the server, which holds the data directory's lock and gives the offsets; false for a command that writes beside it (D35). */
  readonly isOwner: boolean;
  readonly maxBytes?: number | undefined;
  readonly log: Logger;
  readonly onCommit: OnCommit;
  /** The writer thread is gone: nothing can be stored any more, and the process should end. */
  readonly onWriterDeath: (error: Error) => void;
}

/** The open database: the committer, Kysely for features, and a prepared-statement reader for the hot paths. */
export interface Store {
  readonly committer: Committer;
  readonly database: Database;
  readonly port: WriterPort;
  /** Read-only, in the main thread: short look-ups only. */
  readonly reader: Sqlite;
  /** Verifies the audit chain. */
  readonly auditKey: Uint8Array;
  /** Whether a write could begin now. */
  canWrite(): Promise<boolean>;
  sizes(): { databaseBytes: number; walBytes: number };
  /** Waits for what is in flight, leaves the counters' positions, moves the WAL into the database, closes everything. */
  close(): Promise<void>;
}

/** Opens the store. The schema must be current. */
export function openStore(options: StoreOptions): Store {
  const { file, log, isOwner } = options;
  const setup = openForWriting({ file, busyTimeoutMs: 5000 });
  const auditKey = loadAuditKey(setup, options.box);
  const sequences = readSequences(setup);
  if (isOwner) markSequencesInUse(setup);
  setup.close();

  const port = openPort(options, auditKey);
  const committer = new Committer(port, sequences, options.onCommit);
  const reader = openForReading(file);
  const scanner = new Scanner(file);
  const database = new Database({ committer, port, reader: new StatementCache(reader), scanner, log });
  return {
    committer,
    database,
    port,
    reader,
    auditKey,
    async canWrite() {
      await committer.acquireTransaction();
      try {
        await port.begin();
        await port.rollback();
        return true;
      } catch {
        return false;
      } finally {
        committer.releaseTransaction();
      }
    },
    sizes: () => ({ databaseBytes: fileBytes(file), walBytes: fileBytes(`${file}-wal`) }),
    async close() {
      await committer.settled();
      await scanner.close();
      reader.close();
      if (isOwner) await port.checkpoint().catch(() => undefined);
      await port.close();
      if (!isOwner) return;
      const teardown = openForWriting({ file, busyTimeoutMs: 5000 });
      markSequencesClean(teardown, sequences);
      teardown.close();
    },
  };
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
