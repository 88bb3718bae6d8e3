import { existsSync } from "node:fs";
import { prepareDataDir } from "../base/data-dir.ts";
import type { Config } from "../config/load.ts";
import { DataDirLock } from "../store/data-dir-lock.ts";
import { migrateFile, pendingMigrations } from "../store/migrate-file.ts";
import { CommandError, EXIT } from "./exit-codes.ts";

const LOCK_WAIT_MS = 3000;
const LOCK_RETRY_MS = 50;

/** Takes the lock on the data directory, which is made where there is none. @throws CommandError 4 when another process holds it, DataDirRefused */
export function lockDataDir(dataDir: string): DataDirLock {
  prepareDataDir(dataDir);
  const lock = DataDirLock.tryAcquire(dataDir);
  if (!lock) throw held(dataDir);
  return lock;
}

/**
 * Makes the database where there is none and brings it up to date where it is behind, under the lock. One that is current is left alone, so
 * that this works beside a running server.
 * @throws CommandError 4, SchemaRefused
 */
export async function ensureDatabase({ dataDir, databaseFile }: Config): Promise<void> {
  const deadline = Date.now() + LOCK_WAIT_MS;
  while (!isCurrent(databaseFile)) {
    prepareDataDir(dataDir);
    const lock = DataDirLock.tryAcquire(dataDir);
    if (lock) {
      migrateFile(databaseFile);
      lock.release();
    } else if (Date.now() > deadline) throw held(dataDir);
    // Another command may be making it at this very moment; a server would have done so before.
    else await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}

/** @throws CommandError 4 where there is no database, 3 where it is behind; SchemaRefused */
export function requireDatabase({ databaseFile }: Config): void {
  if (!existsSync(databaseFile))
    throw new CommandError(EXIT.unreachable, `there is no database at ${databaseFile}; is --data-dir the right one?`);
  const pending = pendingMigrations(databaseFile);
  if (pending.length > 0)
    throw new CommandError(EXIT.refused, `the database lacks ${pending.join(", ")}; run prism migrate`);
}

function isCurrent(file: string): boolean {
  return existsSync(file) && pendingMigrations(file).length === 0;
}

function held(dataDir: string): CommandError {
  return new CommandError(EXIT.unreachable, `another Prism holds the data directory ${dataDir}`);
}
