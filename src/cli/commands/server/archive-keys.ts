import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../../config/load.ts";
import { sealedBoxOf } from "../../../config/load.ts";
import { ArchiveReader } from "../../../features/backup/archive.ts";
import { ArchiveRefused } from "../../../features/backup/archive-refused.ts";
import { archivesIn, BACKUPS_DIR } from "./archives.ts";

/** Archives by the encryption key that was current when they were made: they can be restored with that key only. */
export interface ArchiveKeys {
  /** Names of archives that need a previous key, newest first. */
  readonly previous: readonly string[];
  /** Names of archives whose key is not configured at all. */
  readonly unknown: readonly string[];
}

/** Looks at the archives in the directory where they go by default; those that cannot be read are left out. */
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
  return `${names.length} ${names.length === 1 ? "archive" : "archives"} (${shown}${more})`;
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
