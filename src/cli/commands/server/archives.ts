import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type EpochMs, parseRfc3339, toRfc3339 } from "../../../core/clock.ts";

/** Where archives go by default, in the data directory. */
export const BACKUPS_DIR = "backups";

/** `prism-20260131T080000Z.tar`; names in the order of time. */
export function archiveName(now: EpochMs): string {
  return `prism-${toRfc3339(now).replace(/[-:]|\.\d+/g, "")}.tar`;
}

/** When an archive was made, by the name that Prism gave it; undefined for any other name. */
export function archiveTime(name: string): EpochMs | undefined {
  const match = /^prism-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.tar$/.exec(name);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  return parseRfc3339(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** Archives of a directory that have such names, newest first: plain files only. */
export function archivesIn(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => archiveTime(name) !== undefined && lstatSync(join(dir, name)).isFile())
    .sort()
    .reverse();
}
