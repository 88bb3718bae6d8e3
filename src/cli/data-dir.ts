import { existsSync, lchownSync, lstatSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { sudoAs } from "../config/config-file.ts";
import { type Config, type LoadedConfig, sealedBoxOf, sourceOf } from "../config/load.ts";
import { generateSecrets } from "../config/secrets.ts";
import { archivesIn, BACKUPS_DIR, prepareDataDir } from "../core/data-dir.ts";
import { type DataPaths, finishRestore, isRestorePending } from "../features/records/backup/swap.ts";
import type { UpgradeOptions } from "../features/records/backup/upgrade.ts";
import { hasAuditKey } from "../store/sealed-settings.ts";
import { reading } from "../store/sqlite/connection.ts";
import { DataDirLock } from "../store/sqlite/data-dir-lock.ts";
import { migrateFile, pendingMigrations, supportedStatus } from "../store/sqlite/migrate.ts";
import { requireAlone } from "../store/store.ts";
import { beatFileOf } from "../store/write-health.ts";
import type { CommandContext } from "./context.ts";
import { CommandError, describeFailure, EXIT } from "./output/exit-codes.ts";

/**
 * Takes the lock on the data directory, which is created if missing, and on its database, and
 * finishes an interrupted restore.
 * @throws CommandError 4 when another process holds it, DataDirRefused
 */
export function lockDataDir(paths: DataPaths): DataDirLock {
  prepareDataDir(paths.dataDir);
  const lock = tryLockDataDir(paths);
  if (!lock) throw heldBy(paths);
  return lock;
}

/** {@link lockDataDir} for an existing directory. @returns undefined if another process holds it */
export function tryLockDataDir(paths: DataPaths): DataDirLock | undefined {
  const lock = DataDirLock.tryAcquire(paths);
  if (lock) finishRestore(paths);
  return lock;
}

/** Files that root made in another user's data directory become that user's, who opens them. */
export function giveToOwner(dataDir: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(dataDir);
  if (uid === 0) return;
  for (const name of readdirSync(dataDir)) {
    const path = join(dataDir, name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    // A file with other links may be one of the system that the user has linked here.
    if (stats?.uid === 0 && (stats.isDirectory() || stats.nlink === 1)) lchownSync(path, uid, gid);
  }
}

/** Runs work under {@link lockDataDir}. */
export async function withDataDirLock<T>(paths: DataPaths, work: () => T | Promise<T>): Promise<T> {
  const lock = lockDataDir(paths);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

interface DatabaseUse extends Pick<UpgradeOptions, "withBackup" | "log" | "onProgress"> {
  /** The database is opened afterwards, which needs its encryption key. */
  readonly opens?: boolean;
  /** A new database may replace a lost one. */
  readonly replacesLost?: boolean;
}

/**
 * For `serve`, `migrate` and `seed`: creates the database if there never was one, with generated
 * secrets in development, and applies pending migrations, after a backup. The caller holds the lock.
 * @returns the applied migrations. @throws CommandError 3 for a lost database and without a backup,
 * SchemaRefused
 */
export async function makeCurrent(
  { out }: Pick<CommandContext, "out">,
  loaded: LoadedConfig,
  use: DatabaseUse = {},
): Promise<readonly string[]> {
  const { config } = loaded;
  const { databaseFile } = config;
  if (!use.replacesLost) requireNotLost(config);
  const found = isEmpty(databaseFile)
    ? null
    : reading(databaseFile, (connection) => ({
        isUnused: !hasAuditKey(connection),
        pending: supportedStatus(connection).pending,
      }));
  if (found === null || found.isUnused) generateSecrets(config);
  // Without its key a database is refused before it is changed.
  if (use.opens) sealedBoxOf(config);
  if (found === null) {
    const applied = migrateFile(databaseFile);
    out.note(`created a new database in ${config.dataDir} (${sourceOf("dataDir", loaded)})`);
    return applied;
  }
  const { pending } = found;
  if (pending.length === 0) return [];
  reading(databaseFile, requireAlone);
  const { upgrade } = await import("../features/records/backup/upgrade.ts");
  return upgrade({ ...use, out, loaded, pending, describe: (error) => describeFailure(error)?.summary });
}

/**
 * @returns the pending migrations. @throws CommandError 4 without a database or access to it, 3 for
 * a lost one; SchemaRefused
 */
export function requireSomeDatabase(loaded: LoadedConfig): readonly string[] {
  const { config } = loaded;
  if (isRestorePending(config)) lockDataDir(config).release();
  if (!isEmpty(config.databaseFile)) return pendingMigrations(config.databaseFile);
  requireNotLost(config);
  throw new CommandError(EXIT.unreachable, missingDatabase(loaded));
}

/** Where the database was expected, and the next step. */
export function missingDatabase(loaded: LoadedConfig): string {
  const { dataDir, databaseFile, cluster } = loaded.config;
  const what = `there is no database at ${databaseFile} (data directory ${dataDir}, ${sourceOf("dataDir", loaded)})`;
  // An empty node makes no database of its own beside that of a cluster.
  if (cluster.servers.length > 0)
    return `${what}; an empty node needs no command: prism serve copies the leader's database, or makes the first one`;
  const advice = "name another directory with --data-dir or PRISM_DATA_DIR, name a server with --url and a token,";
  return `${what}; ${advice} or create a database there: prism serve`;
}

/** @throws CommandError 4 without a database, 3 for one with pending migrations; SchemaRefused */
export function requireDatabase(loaded: LoadedConfig): void {
  const pending = requireSomeDatabase(loaded);
  if (pending.length > 0)
    throw new CommandError(EXIT.refused, `the database lacks ${pending.join(", ")}; run prism migrate`);
}

/** Whether the file is missing or empty. @throws CommandError 4 without access */
function isEmpty(file: string): boolean {
  try {
    return statSync(file).size === 0;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "ENOENT" || code === "ENOTDIR") return true;
    const nextStep = `run the command as the service's user: ${sudoAs(dirname(file))}`;
    throw new CommandError(EXIT.unreachable, `${file} cannot be opened (${code}); ${nextStep}`, { cause: error });
  }
}

/** Whether the database has no sealed values, so that a new key loses nothing. */
export function isUnused(file: string): boolean {
  return isEmpty(file) || reading(file, (connection) => !hasAuditKey(connection));
}

/** The error for a data directory held by another process. */
export function heldBy(paths: DataPaths): CommandError {
  const held = DataDirLock.heldLock(paths);
  const what = held?.what ?? `the data directory ${paths.dataDir}`;
  const pid = held?.pid === undefined ? "" : ` (pid ${held.pid})`;
  return new CommandError(EXIT.unreachable, `another Prism holds ${what}${pid}`);
}

/** Evidence that a data directory had a database that is now missing or empty; null for none. */
export function lostDatabase({ dataDir, databaseFile }: Pick<Config, "dataDir" | "databaseFile">): string | null {
  if (!isEmpty(databaseFile)) return null;
  const backups = join(dataDir, BACKUPS_DIR);
  // secrets.json is no evidence: a first start killed early leaves it without a database.
  const signs = [join(dataDir, "audit.head"), beatFileOf(dataDir)].filter((file) => existsSync(file));
  if (existsSync(backups) && archivesIn(backups).length > 0) signs.push(backups);
  if (signs.length === 0) return null;
  const show = signs.length === 1 ? "shows" : "show";
  return `there is no database at ${databaseFile}, but ${signs.join(" and ")} ${show} that there was one`;
}

/** For commands that create a missing database. @throws CommandError 3 for a lost one */
export function requireNotLost(paths: Pick<Config, "dataDir" | "databaseFile">): void {
  const lost = lostDatabase(paths);
  if (lost !== null)
    throw new CommandError(
      EXIT.refused,
      `${lost}; restore it (prism restore <archive>), or start with an empty one: prism serve --new-database`,
    );
}
