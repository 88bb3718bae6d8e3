import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Config } from "../../../config/load.ts";
import { DAY_MS, toRfc3339 } from "../../../core/clock.ts";
import { isRestorePending } from "../../../features/backup/swap.ts";
import { archivesIn, archiveTime, BACKUPS_DIR } from "../server/archives.ts";
import { type Check, pass, warn } from "./check.ts";

const OLD_DAYS = 7;
/** What changes still belongs to somebody who works. */
const STALE_MS = 3_600_000;

/** The archives in the place where they go by default. */
export function archivesOf(dataDir: string): string[] {
  const dir = join(dataDir, BACKUPS_DIR);
  return existsSync(dir) ? archivesIn(dir).map((name) => join(dir, name)) : [];
}

/** Whether the newest archive is new enough; nothing where there are none, for they may be kept elsewhere. */
export function checkBackups({ dataDir }: Config, now = Date.now()): Check[] {
  const dir = join(dataDir, BACKUPS_DIR);
  const [newest] = existsSync(dir) ? archivesIn(dir) : [];
  const madeAt = newest === undefined ? undefined : archiveTime(newest);
  if (newest === undefined || madeAt === undefined) return [];
  const days = Math.floor((now - madeAt) / DAY_MS);
  const said = `the newest archive is ${newest}, of ${toRfc3339(madeAt)}`;
  if (days >= OLD_DAYS) return [warn("backups", `${said}: ${days} days old`, "prism backup, by a timer")];
  return [pass("backups", said)];
}

/** Files and folders that a backup, a restore or an export has left which was killed. @param fix removes them. */
export function checkLeftovers(config: Config, fix: boolean, now = Date.now()): Check[] {
  const { dataDir, databaseFile } = config;
  if (isRestorePending(config)) {
    const what = "a restore was interrupted when it had begun to move files";
    return [warn("leftovers", what, "the next command that needs the database finishes it")];
  }
  const places = [...new Set([dataDir, dirname(databaseFile), join(dataDir, BACKUPS_DIR)])];
  const stale = places
    .filter((place) => existsSync(place))
    .flatMap((place) => readdirSync(place).map((name) => join(place, name)))
    .filter((path) => path.endsWith(".partial") && now - newestChange(path) > STALE_MS);
  if (stale.length === 0) return [];
  if (!fix) return [warn("leftovers", `${stale.join(", ")}: of a command that was killed`, "--fix removes it")];
  for (const path of stale) rmSync(path, { recursive: true, force: true });
  return [pass("leftovers", `removed ${stale.join(", ")}`)];
}

/** A folder does not change when a file in it grows. */
function newestChange(path: string): number {
  const stat = statSync(path);
  const inside = stat.isDirectory() ? readdirSync(path).map((name) => statSync(join(path, name)).mtimeMs) : [];
  return Math.max(stat.mtimeMs, ...inside);
}
