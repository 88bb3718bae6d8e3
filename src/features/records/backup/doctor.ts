import { chmodSync, existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { nodeOf } from "../../../config/checks.ts";
import { type Config, sealedBoxOf } from "../../../config/load.ts";
import { archivesIn, BACKUPS_DIR, newestBackupAt } from "../../../core/data-dir.ts";
import { type Finding, fail, pass, warn } from "../../../core/finding.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import type { StoredFindings } from "../../../module/findings.ts";
import type { ReadDb } from "../../../store/database.ts";
import { readOrNull } from "../../../store/doctor.ts";
import type { SealedColumn } from "../../../store/sealed-column.ts";
import { lastBackup } from "../../../store/sqlite/snapshot.ts";
import { ArchiveReader } from "./archive.ts";
import { ArchiveRefused } from "./manifest.ts";
import { isRestorePending } from "./swap.ts";

/** Only the owner may read the data directory and its secrets. @param fix removes permissions */
export function checkPermissions({ dataDir, databaseFile }: Config, fix: boolean): Finding[] {
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

function tooOpen(path: string, mode: number): Finding {
  const now = (statSync(path).mode & 0o777).toString(8).padStart(4, "0");
  return fail(
    "permissions",
    `${path} has mode ${now}: others can access it`,
    `chmod ${mode.toString(8)} ${path}, or --fix`,
  );
}

function repair(path: string, mode: number): Finding {
  try {
    chmodSync(path, mode);
    return pass("permissions", `${path} was open to others; now it has mode 0${mode.toString(8)}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail("permissions", `${path} is open to others and could not be closed: ${reason}`);
  }
}

/** The archives in the default directory. */
function archivesOf(dataDir: string): string[] {
  const dir = join(dataDir, BACKUPS_DIR);
  return existsSync(dir) ? archivesIn(dir).map((name) => join(dir, name)) : [];
}

/** Whether the latest backup is recent, and on this machine unless it follows; nothing in development without one. */
export function checkBackups(
  { dataDir, databaseFile, env, cluster }: Config,
  { follows = false, now = Date.now() } = {},
): Finding[] {
  const last = readOrNull(databaseFile, lastBackup);
  const madeAt = newestBackupAt(dataDir, last?.at ?? null);
  const warning = backupWarning(env, madeAt, now);
  if (warning !== null) return [warn("backups", warning, "schedule prism backup (prism docs backup)")];
  const { node, file } = last ?? {};
  // A directory of both machines has it.
  if (!follows && madeAt === last?.at && node && file && node !== nodeOf({ cluster }) && !existsSync(file)) {
    const where = `the newest backup was made ${toRfc3339(madeAt)} by the node ${node}, and is not here: ${file}`;
    return [warn("backups", where, "run prism backup on this machine, if it leads or serves alone")];
  }
  return madeAt === null ? [] : [pass("backups", `the newest backup was made ${toRfc3339(madeAt)}`)];
}

/** Recently changed files belong to a running process. */
const STALE_MS = 3_600_000;

/** Files and folders left by a killed backup, restore or export. @param fix removes them. */
export function checkLeftovers(config: Config, fix: boolean, now = Date.now()): Finding[] {
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

const OLD_DAYS = 7;

/** Why an operator should make a backup; null if the latest one is recent. */
export function backupWarning(env: Config["env"], madeAt: EpochMs | null, now = Date.now()): string | null {
  if (madeAt === null) return env === "production" ? "no backup was ever made" : null;
  const days = Math.floor((now - madeAt) / DAY_MS);
  return days < OLD_DAYS ? null : `the newest backup was made ${toRfc3339(madeAt)}, ${days} days ago`;
}

/** Groups the archives by encryption key: each can be restored only with the key of its creation. */
interface ArchiveKeys {
  /** Names of archives that need a previous key, newest first. */
  readonly previous: readonly string[];
  /** Names of archives whose key is not configured. */
  readonly unknown: readonly string[];
}

/** The keys of the archives in the default directory; unreadable ones are skipped. */
export async function archiveKeys(config: Config): Promise<ArchiveKeys> {
  const dir = join(config.dataDir, BACKUPS_DIR);
  const { keyId, keyIds } = sealedBoxOf(config);
  const keys = { previous: [] as string[], unknown: [] as string[] };
  for (const name of existsSync(dir) ? archivesIn(dir) : []) {
    const id = await keyIdOf(join(dir, name));
    if (id === undefined || id === keyId.toString("hex")) continue;
    keys[keyIds.includes(id) ? "previous" : "unknown"].push(name);
  }
  return keys;
}

/** `3 archives (a.tar, b.tar and 1 more)`. */
export function archivesText(names: readonly string[]): string {
  const shown = names.slice(0, 2).join(", ");
  const more = names.length > 2 ? ` and ${names.length - 2} more` : "";
  return `${countText(names.length, "archive")} (${shown}${more})`;
}

async function keyIdOf(file: string): Promise<string | undefined> {
  try {
    const reader = await ArchiveReader.open(file);
    await reader.close();
    return reader.manifest.keyId;
  } catch (error) {
    if (error instanceof ArchiveRefused) return undefined;
    throw error;
  }
}

/** The keys of the sealed values. */
export async function checkEncryption(
  db: ReadDb,
  config: Config,
  columns: readonly SealedColumn[],
): Promise<Finding[]> {
  const sealed = (await Promise.all(columns.map((column) => column.byKey(db)))).flat();
  // A new database needs no key yet.
  if (sealed.length === 0) return [pass("encryption", "nothing is encrypted yet")];
  const { keyIds, keyId } = sealedBoxOf(config);
  const counts = { current: 0, previous: 0, unknown: 0 };
  for (const { keyId: id, values } of sealed) {
    const hex = Buffer.from(id).toString("hex");
    counts[hex === keyId.toString("hex") ? "current" : keyIds.includes(hex) ? "previous" : "unknown"] += values;
  }
  if (counts.unknown > 0) {
    const what = `${counts.unknown} values are encrypted with a key that is not configured`;
    return [fail("encryption", what, "add it to PRISM_PREVIOUS_ENCRYPTION_KEYS")];
  }
  if (counts.previous > 0)
    return [warn("encryption", `${counts.previous} values need a previous key`, "prism key rotate --encryption")];
  const spare = config.previousEncryptionKeys.length;
  const { previous, unknown } = await archiveKeys(config);
  const checks = [
    pass("encryption", `${counts.current} values, all with the current key${spareText(spare, previous)}`),
  ];
  if (unknown.length > 0) {
    const what = `${archivesText(unknown)} can be restored only with a key that is not configured`;
    checks.push(warn("encryption", what, "keep that key, or remove them"));
  }
  return checks;
}

function spareText(spare: number, archives: readonly string[]): string {
  if (spare === 0) return "";
  const keys = spare === 1 ? "previous key" : `${spare} previous keys`;
  if (archives.length > 0) return `; keep the ${keys} for ${archivesText(archives)}`;
  return `; the ${keys} can be removed unless archives elsewhere need it`;
}

export const STORED: StoredFindings = {
  machine: {
    permissions: ({ config, fixes }) => checkPermissions(config, fixes),
    backups: async ({ config, follows }) => checkBackups(config, { follows: await follows() }),
    leftovers: ({ config, fixes }) => checkLeftovers(config, fixes),
  },
  database: { encryption: ({ db, config, sealedColumns }) => checkEncryption(db, config, sealedColumns) },
};
