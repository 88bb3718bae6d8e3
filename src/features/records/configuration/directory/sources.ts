import { resolve } from "node:path";
import type { PermissionHolder } from "../../../../core/caller.ts";
import { toRfc3339 } from "../../../../core/time/clock.ts";
import { readableRows } from "../managed.ts";
import type { ConfigurationContext } from "../reading.ts";
import { directoryView, readRecord } from "./record.ts";

/** Who owns what in files, of what the caller may read; for those who see all projects also the directory. */
export async function listSources(context: ConfigurationContext, caller: PermissionHolder) {
  const { rows } = await readableRows(context, caller);
  const sources = [...new Set(rows.map(({ row }) => row.source))].sort().map((source) => {
    const own = rows.flatMap(({ row }) => (row.source === source ? row : []));
    return {
      source,
      objects: own.length,
      lastAppliedAt: toRfc3339(Math.max(...own.map(({ appliedAt }) => appliedAt))),
      isLocked: own.some(({ isLocked }) => isLocked === 1),
    };
  });
  const { dir } = context.config.configuration;
  const isShown = dir !== undefined && caller.permissions.has("projects:all");
  const checkedAt = context.configurationDirectory?.checkedAt ?? null;
  const directory = isShown ? directoryView(resolve(dir), await readRecord(context.db.read), checkedAt) : null;
  return { data: sources, directory };
}
