import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { SealedBox } from "../../src/core/crypto/sealed-box.ts";
import { migrateFile } from "../../src/store/sqlite/migrate.ts";
import { openStore, type Store, type StoreOptions } from "../../src/store/store.ts";
import { LogLines } from "./log-lines.ts";
import type { Scope } from "./scope.ts";

/** The implementations of the committer's writer. */
export const WRITERS = ["main", "thread", "adaptive"] as const;
export type WriterKind = (typeof WRITERS)[number];

export const TEST_KEY = new Uint8Array(32).fill(7);

/** A directory that goes when the test ends. */
export function temporaryDir(t: Scope): string {
  const dir = mkdtempSync(join(tmpdir(), "prism-test-"));
  // A process of the test, which ends after this, may still make files.
  t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }));
  return dir;
}

/** A migrated database file in a directory of its own. */
export function temporaryDatabase(t: TestContext): string {
  const file = join(temporaryDir(t), "prism.db");
  createMigratedFile(file);
  return file;
}

/** The bytes of a database after all migrations; they are the same for every new database. */
let migrated: Buffer | undefined;

/** What `migrateFile` makes of a new file. The migrations run once per process, then it is a copy. */
export function createMigratedFile(file: string): void {
  if (migrated) return writeFileSync(file, migrated, { mode: 0o600, flag: "wx" });
  migrateFile(file);
  migrated = readFileSync(file);
}

export interface TestStore extends Store {
  readonly file: string;
  readonly log: LogLines;
  /** Why the writer thread ended, if it did. */
  readonly deaths: Error[];
  /** Size of each committed set, in events. */
  readonly commits: number[];
}

export type TestStoreOptions = Partial<Pick<StoreOptions, "writer" | "maxBytes" | "busyTimeoutMs" | "isOwner">> & {
  /** An existing database. */
  readonly file?: string;
};

/** A store as the server opens it, on a file of its own, closed when the test ends. */
export function openTestStore(t: TestContext, options: TestStoreOptions = {}): TestStore {
  const file = options.file ?? temporaryDatabase(t);
  const log = new LogLines();
  const deaths: Error[] = [];
  const commits: number[] = [];
  const store = openStore({
    file,
    box: new SealedBox([TEST_KEY]),
    writer: options.writer ?? "main",
    isOwner: options.isOwner ?? true,
    maxBytes: options.maxBytes,
    busyTimeoutMs: options.busyTimeoutMs,
    log,
    onCommit: (_durationMs, events) => commits.push(events),
    onWriterDeath: (error) => deaths.push(error),
  });
  let closing: Promise<void> | null = null;
  const close = (limitMs?: number): Promise<void> => {
    closing ??= store.close(limitMs);
    return closing;
  };
  t.after(() => close());
  return { ...store, close, file, log, deaths, commits };
}

/** Another connection to the same file, like that of a command or the `sqlite3` program. */
export function openBeside(t: TestContext, file: string): Sqlite {
  const connection = new SqliteDatabase(file, { timeout: 5000 });
  t.after(() => connection.close());
  return connection;
}

/** All values of a statement's only column. */
export function column<T>(connection: Sqlite, sql: string, ...parameters: unknown[]): T[] {
  return connection
    .prepare<unknown[], T>(sql)
    .pluck()
    .all(...parameters);
}
