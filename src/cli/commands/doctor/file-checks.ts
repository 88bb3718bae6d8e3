import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Config } from "../../../config/load.ts";
import { toRfc3339 } from "../../../core/clock.ts";
import { archivesIn, BACKUPS_DIR } from "../../../core/data-dir.ts";
import { isRestorePending } from "../../../features/backup/swap.ts";
import { DataDirLock } from "../../../store/sqlite/data-dir-lock.ts";
import { lastBackupAt } from "../../../store/sqlite/snapshot.ts";
import { type DiskProblem, diskProblem } from "../../../store/sqlite/sqlite-errors.ts";
import { backupWarning, newestBackupAt } from "../server/archives.ts";
import { bytesText, type Check, fail, pass, readOrNull, warn } from "./check.ts";

/** Only the owner may read the data directory and its secrets. @param fix removes permissions */
export function checkPermissions({ dataDir, databaseFile }: Config, fix: boolean): Check[] {
  if (!existsSync(dataDir))
    return [warn("permissions", `there is no data directory ${dataDir} yet; the first start creates it`)];
  const wanted = [
    [dataDir, 0o700],
    ...[join(dataDir, "secrets.json"), databaseFile, `${databaseFile}-wal`, ...archivesOf(dataDir)].map(
      (file) => [file, 0o600] as const,
    ),
  ] as const;
  const loose = wanted.filter(([path]) => existsSync(path) && isOpenToOthers(path));
  if (loose.length === 0) return [pass("permissions", `only the owner may read ${dataDir}`)];
  return loose.map(([path, mode]) => (fix ? repair(path, mode) : tooOpen(path, mode)));
}

function isOpenToOthers(path: string): boolean {
  return process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
}

function tooOpen(path: string, mode: number): Check {
  const now = (statSync(path).mode & 0o777).toString(8).padStart(4, "0");
  return fail(
    "permissions",
    `${path} has mode ${now}: others can access it`,
    `chmod ${mode.toString(8)} ${path}, or --fix`,
  );
}

function repair(path: string, mode: number): Check {
  try {
    chmodSync(path, mode);
    return pass("permissions", `${path} was open to others; now it has mode 0${mode.toString(8)}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail("permissions", `${path} is open to others and could not be closed: ${reason}`);
  }
}

export function checkDisk(config: Config): Check[] {
  const dirs = [config.dataDir, dirname(config.databaseFile)].map(nearestDirectory);
  const seen = new Set<number>();
  const isNew = (dir: string): boolean => !seen.has(statSync(dir).dev) && seen.add(statSync(dir).dev).size > 0;
  return dirs.filter(isNew).flatMap((dir) => checkDiskOf(dir, config.minFreeBytes));
}

/** Space to store events; below `minFreeBytes` ingest answers 507. */
function checkDiskOf(dir: string, minFreeBytes: number): Check[] {
  const { bavail, bsize } = statfsSync(dir);
  const freeBytes = bavail * bsize;
  const problem = diskProblem(dir);
  if (problem !== null) return [fail("disk", `${dir} ${UNWRITABLE[problem]}`)];
  const said = `${dir}: ${bytesText(freeBytes)} free, minFreeBytes is ${bytesText(minFreeBytes)}`;
  if (freeBytes < minFreeBytes) return [fail("disk", `${said}: events are refused with 507`, "free some space")];
  if (freeBytes < 2 * minFreeBytes) return [warn("disk", said, "free some space before events are refused")];
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
export function checkDescriptors(limits = readLimits("self"), where = "here"): Check[] {
  const limit = /^Max open files +(\d+|unlimited)/m.exec(limits)?.[1];
  if (limit === undefined) return [];
  if (limit === "unlimited" || Number(limit) >= WANTED_DESCRIPTORS)
    return [pass("descriptors", `${limit} files and connections may be open`)];
  const remedy = "LimitNOFILE=65536 in the unit, or ulimit -n 65536 before the start";
  return [warn("descriptors", `only ${limit} files and connections may be open ${where}`, remedy)];
}

/** {@link checkDescriptors} of the process that holds the data directory. */
export function checkServerDescriptors(config: Config): Check[] {
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

/** Recently changed files belong to a running process. */
const STALE_MS = 3_600_000;

/** The archives in the default directory. */
export function archivesOf(dataDir: string): string[] {
  const dir = join(dataDir, BACKUPS_DIR);
  return existsSync(dir) ? archivesIn(dir).map((name) => join(dir, name)) : [];
}

/** Whether the latest backup is recent; nothing in development without one. */
export function checkBackups({ dataDir, databaseFile, env }: Config, now = Date.now()): Check[] {
  const madeAt = newestBackupAt(dataDir, readOrNull(databaseFile, lastBackupAt));
  const warning = backupWarning(env, madeAt, now);
  if (warning !== null) return [warn("backups", warning, "schedule prism backup (prism docs backup)")];
  return madeAt === null ? [] : [pass("backups", `the newest backup was made ${toRfc3339(madeAt)}`)];
}

/** Files and folders left by a killed backup, restore or export. @param fix removes them. */
export function checkLeftovers(config: Config, fix: boolean, now = Date.now()): Check[] {
  const { dataDir, databaseFile } = config;
  if (isRestorePending(config)) {
    const what = "a restore was interrupted while it moved files";
    return [warn("leftovers", what, "the next command that needs the database finishes it")];
  }
  const folders = [...new Set([dataDir, dirname(databaseFile), join(dataDir, BACKUPS_DIR)])];
  const stale = folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => path.endsWith(".partial") && now - newestChange(path) > STALE_MS);
  if (stale.length === 0) return [];
  if (!fix) return [warn("leftovers", `${stale.join(", ")}: left by a command that was killed`, "--fix removes it")];
  for (const path of stale) rmSync(path, { recursive: true, force: true });
  return [pass("leftovers", `removed ${stale.join(", ")}`)];
}

/** The modification time of a folder does not change when a file in it grows. */
function newestChange(path: string): number {
  const stat = statSync(path);
  const inside = stat.isDirectory() ? readdirSync(path).map((name) => statSync(join(path, name)).mtimeMs) : [];
  return Math.max(stat.mtimeMs, ...inside);
}
