import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import { sql } from "kysely";
import { freeBytes } from "../core/data-dir.ts";
import { type Finding, fail, pass, warn } from "../core/finding.ts";
import { bytesText } from "../core/text/clean-text.ts";
import { kyselyOver, ReadDriver } from "./commit/write-driver.ts";
import type { ReadDb } from "./database.ts";
import { Scanner } from "./scanner.ts";
import { ingestLimitBytes, ingestResumesBytes, PageUsage, reading } from "./sqlite/connection.ts";
import { DataDirLock } from "./sqlite/data-dir-lock.ts";
import { migrationStatusOf, requireOwnSchema, SchemaRefused } from "./sqlite/migrate.ts";
import { type DiskProblem, diskProblem } from "./sqlite/sqlite-errors.ts";

/** The configuration that the checks of the store need. */
interface StoreFiles {
  readonly dataDir: string;
  readonly databaseFile: string;
  readonly maxDbBytes: number | undefined;
  readonly minFreeBytes: number;
}

/** Reads the database; null if it cannot be read, which another check reports. */
export function readOrNull<T>(databaseFile: string, read: (connection: Sqlite) => T): T | null {
  try {
    return reading(databaseFile, read);
  } catch {
    return null;
  }
}

/** The database for long reads: in another thread, so that the progress line is updated. */
export function openForChecks(file: string): { readonly db: ReadDb; close(): Promise<void> } {
  const scanner = new Scanner(file);
  const db = kyselyOver(
    new ReadDriver(async (sql, parameters) => ({ rows: await scanner.query(sql, parameters), changes: 0 })),
  );
  return { db, close: () => scanner.close() };
}

/** Problems that SQLite finds in the file (sqlite.org/pragma.html#pragma_quick_check), if any. */
async function quickCheck(db: ReadDb, deep: boolean): Promise<string[]> {
  const query = deep
    ? sql<Record<string, string>>`pragma integrity_check`
    : sql<Record<string, string>>`pragma quick_check`;
  const { rows } = await query.execute(db);
  return rows.flatMap((row) => Object.values(row)).filter((message) => message !== "ok");
}

async function foreignKeyViolations(db: ReadDb): Promise<{ table: string; parent: string }[]> {
  const { rows } = await sql<{ table: string; parent: string }>`pragma foreign_key_check`.execute(db);
  return rows;
}

const SHOWN_PROBLEMS = 5;

/** Whether the file is intact. @param deep also compares the indexes with their tables. */
export async function checkIntegrity(db: ReadDb, { databaseFile }: StoreFiles, deep: boolean): Promise<Finding[]> {
  const problems = await quickCheck(db, deep);
  if (problems.length > 0) {
    const shown = problems.slice(0, SHOWN_PROBLEMS).join("; ");
    return [
      fail(
        "database",
        `damaged: ${shown}`,
        "stop the server and go back to a backup with prism restore, which keeps these files",
      ),
    ];
  }
  const walBytes = statSync(`${databaseFile}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  const wal = walBytes === 0 ? "" : ` and ${bytesText(walBytes)} in its write-ahead log`;
  const size = `${bytesText(statSync(databaseFile).size)}${wal}`;
  return [pass("database", `${size}, ${deep ? "integrity check" : "quick check"} found nothing`)];
}

/** How close the database is to the part of `maxDbBytes` that ingest may fill. */
export function checkLimit({ databaseFile, maxDbBytes }: StoreFiles): Finding[] {
  if (maxDbBytes === undefined) return [];
  const limitBytes = ingestLimitBytes(maxDbBytes);
  const usedBytes = reading(databaseFile, (connection) => new PageUsage(connection).usedBytes());
  const limit = `${bytesText(limitBytes)} of maxDbBytes ${bytesText(maxDbBytes)}`;
  const size = `${bytesText(usedBytes)} used; events are refused at ${limit}`;
  const remedy = "delete events, shorten retention.days, or raise maxDbBytes";
  if (usedBytes >= ingestResumesBytes(maxDbBytes)) return [fail("size limit", size, remedy)];
  return [usedBytes >= 0.8 * limitBytes ? warn("size limit", size, remedy) : pass("size limit", size)];
}

export async function checkForeignKeys(db: ReadDb): Promise<Finding[]> {
  const violations = await foreignKeyViolations(db);
  if (violations.length === 0) return [pass("foreign keys", "every reference is valid")];
  const shown = violations.slice(0, SHOWN_PROBLEMS).map(({ table, parent }) => `${table} to ${parent}`);
  return [fail("foreign keys", `${violations.length} references are dangling: ${shown.join(", ")}`)];
}

/** A newer database causes SchemaRefused, which the caller reports. */
export function checkMigrations({ databaseFile }: StoreFiles): Finding[] {
  const { applied, pending } = migrationStatusOf(databaseFile);
  if (pending.length === 0) return [pass("migrations", `${applied.length} applied, none missing`)];
  return [warn("migrations", `missing: ${pending.join(", ")}`, "prism migrate, or the next start of the server")];
}

/** Whether a backup could be restored: the schema is only that of the migrations and modules. */
export function checkSchema({ databaseFile }: StoreFiles): Finding[] {
  try {
    reading(databaseFile, requireOwnSchema);
    return [pass("schema", "a backup of it can be restored")];
  } catch (error) {
    if (!(error instanceof SchemaRefused)) throw error;
    const remedy = "drop it; modules may have tables named module_<name>_… and indexes on them";
    return [fail("schema", `${error.message}: no backup can be made or restored`, remedy)];
  }
}

export function checkDisk(config: StoreFiles): Finding[] {
  const dirs = [config.dataDir, dirname(config.databaseFile)].map(nearestDirectory);
  const seen = new Set<number>();
  const isNew = (dir: string): boolean => !seen.has(statSync(dir).dev) && seen.add(statSync(dir).dev).size > 0;
  return dirs.filter(isNew).flatMap((dir) => checkDiskOf(dir, config.minFreeBytes));
}

/** Space to store events; below `minFreeBytes` ingest answers 507. */
function checkDiskOf(dir: string, minFreeBytes: number): Finding[] {
  const free = freeBytes(dir);
  const problem = diskProblem(dir);
  if (problem !== null) return [fail("disk", `${dir} ${UNWRITABLE[problem]}`)];
  const said = `${dir}: ${bytesText(free)} free, minFreeBytes is ${bytesText(minFreeBytes)}`;
  if (free < minFreeBytes) return [fail("disk", `${said}: events are refused with 507`, "free some space")];
  if (free < 2 * minFreeBytes) return [warn("disk", said, "free some space before events are refused")];
  return [pass("disk", said)];
}

const UNWRITABLE: Readonly<Record<DiskProblem, string>> = {
  full: "cannot be written: its disk or quota is full",
  readonly: "cannot be written: its file system is read-only, or it belongs to another user",
  failed: "cannot be written: its disk fails",
};

function nearestDirectory(path: string): string {
  return existsSync(path) ? path : nearestDirectory(dirname(path));
}

/** Each connection needs a file descriptor. */
const WANTED_DESCRIPTORS = 65_536;

/** The limit of file descriptors of the running server, else of one that is started from this shell. */
export function checkDescriptors(limits = readLimits("self"), where = "here"): Finding[] {
  const limit = /^Max open files +(\d+|unlimited)/m.exec(limits)?.[1];
  if (limit === undefined) return [];
  if (limit === "unlimited" || Number(limit) >= WANTED_DESCRIPTORS)
    return [pass("descriptors", `${limit} files and connections may be open`)];
  const remedy = "LimitNOFILE=65536 in the unit, or ulimit -n 65536 before the start";
  return [warn("descriptors", `only ${limit} files and connections may be open ${where}`, remedy)];
}

/** {@link checkDescriptors} of the process that holds the data directory. */
export function checkServerDescriptors(config: StoreFiles): Finding[] {
  const pid = DataDirLock.holderOf(config);
  const limits = pid === undefined ? "" : readLimits(String(pid));
  return limits === "" ? checkDescriptors() : checkDescriptors(limits, `in the server, process ${pid}`);
}

function readLimits(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/limits`, "utf8");
  } catch {
    return "";
  }
}
