import * as v from "valibot";
import { type DatabaseFile, withDatabaseFile } from "../database-file.ts";
import { unreadable } from "../http-source.ts";
import { flag, number, optional, rowsAs, text } from "../source-rows.ts";
import { isFolder, tsvFolder } from "../tsv-folder.ts";

const TABLES = {
  user: v.object({ username: text, password: optional, timezone: optional, active: flag, twofa_status: flag }),
  monitor: v.object({
    ...{ id: number, name: optional, type: optional, active: flag, interval: number, maxretries: v.nullish(number) },
    ...{ retry_interval: v.nullish(number), resend_interval: v.nullish(number), upside_down: flag },
    ...{ push_token: optional, description: optional, parent: v.nullish(number) },
  }),
  notification: v.object({ id: number, name: optional, active: flag, is_default: flag, config: optional }),
  monitor_notification: v.object({ monitor_id: number, notification_id: number }),
  tag: v.object({ id: number, name: text }),
  monitor_tag: v.object({ monitor_id: number, tag_id: number, value: optional }),
  status_page: v.object({
    id: number,
    slug: text,
    title: text,
    description: optional,
    published: flag,
    password: optional,
  }),
  group: v.object({
    id: number,
    name: optional,
    weight: v.nullish(number),
    active: flag,
    status_page_id: v.nullish(number),
  }),
  monitor_group: v.object({ monitor_id: number, group_id: number, weight: v.nullish(number) }),
  maintenance: v.object({
    ...{ id: number, title: text, description: optional, active: flag, strategy: text, start_date: optional },
    ...{ end_date: optional, interval_day: v.nullish(number), cron: optional, duration: v.nullish(number) },
    timezone: optional,
  }),
  monitor_maintenance: v.object({ monitor_id: number, maintenance_id: number }),
  setting: v.object({ key: text, value: optional }),
};

/** The tables of Uptime Kuma, by their names. */
export type OldKuma = { readonly [T in keyof typeof TABLES]: readonly v.InferOutput<(typeof TABLES)[T]>[] };

/** @param path `kuma.db`, or a folder with `<table>.tsv` of MariaDB @throws CommandError 7 */
export async function readKuma(path: string): Promise<OldKuma> {
  return isFolder(path) ? read(tsvFolder(path), path) : withDatabaseFile(path, (database) => read(database, path));
}

async function read(database: Pick<DatabaseFile, "rows" | "has">, path: string): Promise<OldKuma> {
  if (!database.has("monitor") || !database.has("monitor_notification"))
    throw unreadable(`${path} has no monitors of Uptime Kuma`);
  const rows = rowsAs(database);
  const found: Record<string, unknown> = {};
  for (const [table, shape] of Object.entries(TABLES)) found[table] = await rows(table, shape as v.GenericSchema);
  return found as OldKuma;
}
