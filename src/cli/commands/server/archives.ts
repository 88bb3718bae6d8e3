import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Config, sealedBoxOf } from "../../../config/load.ts";
import { countText } from "../../../core/clean-text.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../../core/clock.ts";
import { archivesIn, archiveTime, BACKUPS_DIR } from "../../../core/data-dir.ts";
import { ArchiveReader } from "../../../features/backup/archive.ts";
import { ArchiveRefused } from "../../../features/backup/manifest.ts";

const OLD_DAYS = 7;

/**
 * Time of the latest backup: from the audit trail, which covers other directories too, or from the
 * archives in the default directory. Null for none.
 */
export function newestBackupAt(dataDir: string, recordedAt: EpochMs | null): EpochMs | null {
  const dir = join(dataDir, BACKUPS_DIR);
  const [newest = ""] = existsSync(dir) ? archivesIn(dir) : [];
  return Math.max(archiveTime(newest) ?? 0, recordedAt ?? 0) || null;
}

/** Why an operator should make a backup; null if the latest one is recent. */
export function backupWarning(env: Config["env"], madeAt: EpochMs | null, now = Date.now()): string | null {
  if (madeAt === null) return env === "production" ? "no backup was ever made" : null;
  const days = Math.floor((now - madeAt) / DAY_MS);
  return days < OLD_DAYS ? null : `the newest backup was made ${toRfc3339(madeAt)}, ${days} days ago`;
}

/** Archives by the encryption key at their creation: they can only be restored with that key. */
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
