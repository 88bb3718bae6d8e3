import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/load.ts";
import { prepareDataDir } from "../core/data-dir.ts";
import { type DataPlaces, finishRestore, isRestorePending } from "../features/backup/swap.ts";
import { kyselyOver, ReadDriver } from "../store/commit/write-driver.ts";
import type { ReadDb } from "../store/database.ts";
import { openForReading, StatementCache } from "../store/sqlite/connection.ts";
import { DataDirLock } from "../store/sqlite/data-dir-lock.ts";
import { migrateFile, pendingMigrations } from "../store/sqlite/migrate.ts";
import { beatFileOf } from "../store/write-health.ts";
import { archivesIn, BACKUPS_DIR } from "./commands/server/archives.ts";
import type { Context } from "./context.ts";
import { CommandError, EXIT } from "./output/exit-codes.ts";

const LOCK_WAIT_MS = 3000;
const LOCK_RETRY_MS = 50;

/**
 * Takes the lock on the data directory, which is made where there is none, and on its database, and
 * finishes a restore that was interrupted there.
 * @throws CommandError 4 when another process holds it, DataDirRefused
 */
export function lockDataDir(places: DataPlaces): DataDirLock {
  prepareDataDir(places.dataDir);
  const lock = tryLock(places);
  if (!lock) throw held(places);
  return lock;
}

/** Runs work under {@link lockDataDir}. */
export async function withDataDirLock<T>(places: DataPlaces, work: () => T | Promise<T>): Promise<T> {
  const lock = lockDataDir(places);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

function tryLock(places: DataPlaces): DataDirLock | undefined {
  const lock = DataDirLock.tryAcquire(places);
  if (lock) finishRestore(places);
  return lock;
}

/**
 * Makes the database where there is none and brings it up to date where it is behind, under the
 * lock. One that is current is left alone, so that this works beside a running server.
 * @throws CommandError 3 where a database is gone, 4; SchemaRefused
 */
export async function ensureDatabase(config: Config): Promise<void> {
  const { dataDir, databaseFile } = config;
  const deadline = Date.now() + LOCK_WAIT_MS;
  while (isRestorePending(config) || !isCurrent(databaseFile)) {
    prepareDataDir(dataDir);
    const lock = tryLock(config);
    if (lock) {
      try {
        makeCurrent(config);
      } finally {
        lock.release();
      }
    } else if (Date.now() > deadline) throw held(config);
    // Another command may be making it at this very moment; a server would have done so before.
    else await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}

/**
 * Makes the database where there never was one, and brings it up to date where it is behind. The
 * caller holds the lock.
 * @returns the migrations that were applied. @throws CommandError 3 where a database is gone,
 * SchemaRefused
 */
export function makeCurrent(config: Config): readonly string[] {
  requireNotLost(config);
  return migrateFile(config.databaseFile);
}

/**
 * @returns the migrations that the database lacks. @throws CommandError 4 where there is none;
 * SchemaRefused
 */
export function requireSomeDatabase(config: Config): readonly string[] {
  const { databaseFile } = config;
  if (isRestorePending(config)) lockDataDir(config).release();
  if (existsSync(databaseFile)) return pendingMigrations(databaseFile);
  throw new CommandError(EXIT.unreachable, `there is no database at ${databaseFile}; is --data-dir the right one?`);
}

/** @throws CommandError 4 where there is no database, 3 where it is behind; SchemaRefused */
export function requireDatabase(config: Config): void {
  const pending = requireSomeDatabase(config);
  if (pending.length > 0)
    throw new CommandError(EXIT.refused, `the database lacks ${pending.join(", ")}; run prism migrate`);
}

function isCurrent(file: string): boolean {
  return existsSync(file) && pendingMigrations(file).length === 0;
}

function held(places: DataPlaces): CommandError {
  const what = DataDirLock.heldPlace(places) ?? `the data directory ${places.dataDir}`;
  return new CommandError(EXIT.unreachable, `another Prism holds ${what}`);
}

/**
 * What says that a data directory had a database, where there is none or an empty file now; null
 * where nothing is missing.
 */
export function lostDatabase({ dataDir, databaseFile }: Pick<Config, "dataDir" | "databaseFile">): string | null {
  if ((statSync(databaseFile, { throwIfNoEntry: false })?.size ?? 0) > 0) return null;
  const backups = join(dataDir, BACKUPS_DIR);
  // secrets.json is no sign: a first start that was killed leaves it before there is a database.
  const signs = [join(dataDir, "audit.head"), beatFileOf(dataDir)].filter((file) => existsSync(file));
  if (existsSync(backups) && archivesIn(backups).length > 0) signs.push(backups);
  if (signs.length === 0) return null;
  return `there is no database at ${databaseFile}, but ${signs.join(" and ")} ${signs.length === 1 ? "is" : "are"} of one`;
}

/**
 * For commands that make a database where there is none. @throws CommandError 3 where there was one
 */
export function requireNotLost(places: Pick<Config, "dataDir" | "databaseFile">): void {
  const lost = lostDatabase(places);
  if (lost !== null)
    throw new CommandError(
      EXIT.refused,
      `${lost}; bring it back (prism restore <archive>), or begin with an empty one: prism serve --new-database`,
    );
}

/**
 * The database for reading only: beside a running server or without one, and without changing a
 * byte. @throws what SQLite throws
 */
export function openReadStore(file: string): { readonly db: ReadDb; close(): void } {
  const connection = openForReading(file);
  const statements = new StatementCache(connection);
  return {
    db: kyselyOver(new ReadDriver((sql, parameters) => statements.run(sql, parameters))),
    close: () => connection.close(),
  };
}

/** Reads the database of the data directory. @throws CommandError 3, 4; SchemaRefused */
export async function withReadStore<T>(context: Context, read: (db: ReadDb) => Promise<T>): Promise<T> {
  const { config } = context.loadConfig("none");
  requireDatabase(config);
  const { db, close } = openReadStore(config.databaseFile);
  try {
    return await read(db);
  } finally {
    close();
  }
}
