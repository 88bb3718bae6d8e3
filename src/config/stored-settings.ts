import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { syncDirLater } from "../core/data-dir.ts";
import { settingsOf } from "./config-file.ts";
import { flattenOptions } from "./option.ts";
import { OPTIONS } from "./options.ts";

/** The settings that the console has stored, by dotted key, not yet validated. */
export type StoredSettings = ReadonlyMap<string, unknown>;

const FILE_NAME = "settings.json";

export function settingsFile(dataDir: string): string {
  return join(dataDir, FILE_NAME);
}

/** Keys of the settings that the console may change. */
export const EDITABLE: ReadonlySet<string> = new Set(
  flattenOptions(OPTIONS).flatMap(([key, { editable }]) => (editable ? [key] : [])),
);

/**
 * Reads `settings.json` of the data directory. A user who may not read it, such as the caller of a
 * command, works without it.
 * @param problems receives errors of the file, and its names that the console cannot set.
 */
export function readStoredSettings(dataDir: string, problems: string[]): StoredSettings {
  const path = settingsFile(dataDir);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (!ABSENT.includes(code)) problems.push(`${path} cannot be read: ${code || String(error)}`);
    return new Map();
  }
  const found = settingsOf(path, text, problems);
  for (const key of found.keys())
    if (!EDITABLE.has(key)) problems.push(`${key} cannot be set in ${path}; use prism.config.json or the environment`);
  return found;
}

const ABSENT = ["ENOENT", "ENOTDIR", "EACCES", "EPERM"];

/** Replaces the file. After a crash it is the earlier one or this one, complete. */
export async function writeStoredSettings(dataDir: string, settings: StoredSettings): Promise<void> {
  const path = settingsFile(dataDir);
  const text = `${JSON.stringify(nested(settings), null, 2)}\n`;
  await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  await syncDirLater(dataDir);
}

/** `smtp.host` as `{"smtp":{"host":…}}`, in the order of the settings. */
function nested(settings: StoredSettings): Record<string, unknown> {
  const whole: Record<string, unknown> = {};
  for (const [key] of flattenOptions(OPTIONS)) {
    if (!settings.has(key)) continue;
    const names = key.split(".");
    const last = names.pop() ?? key;
    let node = whole;
    for (const name of names) {
      node[name] ??= {};
      node = node[name] as Record<string, unknown>;
    }
    node[last] = settings.get(key);
  }
  return whole;
}
