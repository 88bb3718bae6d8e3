import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { type DatabaseFile, type SourceRow, withDatabaseFile } from "../database-file.ts";
import { unreadable } from "../http-source.ts";
import { rowsAs } from "../source-rows.ts";

const MAX_BYTES = 256 * 2 ** 20;

/** Of MariaDB all values are texts. */
const number = v.pipe(v.union([v.number(), v.pipe(v.string(), v.regex(/^-?\d+$/), v.transform(Number))]));
const text = v.pipe(v.union([v.string(), v.number()]), v.transform(String));
const optional = v.nullish(text);
const flag = v.pipe(
  v.nullish(number),
  v.transform((value) => value === 1),
);

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
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  return isFolder ? read(tsvFolder(path), path) : withDatabaseFile(path, (database) => read(database, path));
}

async function read(database: Pick<DatabaseFile, "rows" | "has">, path: string): Promise<OldKuma> {
  if (!database.has("monitor") || !database.has("monitor_notification"))
    throw unreadable(`${path} has no monitors of Uptime Kuma`);
  const rows = rowsAs(database);
  const found: Record<string, unknown> = {};
  for (const [table, shape] of Object.entries(TABLES)) found[table] = await rows(table, shape as v.GenericSchema);
  return found as OldKuma;
}

/** What `mariadb -B -e "select * from …"` printed. */
function tsvFolder(folder: string): Pick<DatabaseFile, "rows" | "has"> {
  const fileOf = (table: string) => join(folder, `${table}.tsv`);
  return {
    has: (table) => existsSync(fileOf(table)),
    async rows(table) {
      if (!existsSync(fileOf(table))) return [];
      if (statSync(fileOf(table)).size > MAX_BYTES) throw unreadable(`${fileOf(table)} is larger than 256 MiB`);
      const [head = "", ...lines] = readFileSync(fileOf(table), "utf8").split("\n").filter(Boolean);
      const names = head.split("\t");
      return lines.map((line) => {
        const cells = line.split("\t");
        return Object.fromEntries(names.map((name, at): [string, SourceRow[string]] => [name, cellOf(cells[at])]));
      });
    },
  };
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", "0": "\0", "\\": "\\" };

function cellOf(cell: string | undefined): string | null {
  if (cell === undefined || cell === "NULL") return null;
  return cell.replace(/\\([nt0\\])/g, (_, letter: string) => ESCAPES[letter] ?? letter);
}
