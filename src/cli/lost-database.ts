import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/load.ts";
import { beatFileOf } from "../store/read/beats.ts";
import { archivesIn, BACKUPS_DIR } from "./commands/server/archives.ts";
import { CommandError, EXIT } from "./output/exit-codes.ts";

/** What says that a data directory had a database, where there is none or an empty file now; null where nothing is missing. */
export function lostDatabase({ dataDir, databaseFile }: Pick<Config, "dataDir" | "databaseFile">): string | null {
  if ((statSync(databaseFile, { throwIfNoEntry: false })?.size ?? 0) > 0) return null;
  const backups = join(dataDir, BACKUPS_DIR);
  // secrets.json is no sign: a first start that was killed leaves it before there is a database.
  const signs = [join(dataDir, "audit.head"), beatFileOf(dataDir)].filter((file) => existsSync(file));
  if (existsSync(backups) && archivesIn(backups).length > 0) signs.push(backups);
  if (signs.length === 0) return null;
  return `there is no database at ${databaseFile}, but ${signs.join(" and ")} ${signs.length === 1 ? "is" : "are"} of one`;
}

/** For commands that make a database where there is none. @throws CommandError 3 where there was one */
export function requireNotLost(places: Pick<Config, "dataDir" | "databaseFile">): void {
  const lost = lostDatabase(places);
  if (lost !== null)
    throw new CommandError(
      EXIT.refused,
      `${lost}; bring it back (prism restore <archive>), or begin with an empty one: prism serve --new-database`,
    );
}
