import { parseRfc3339, toRfc3339 } from "../../../core/clock.ts";
import { csvRecords } from "../../output/text.ts";
import type { Query, ServerClient } from "../../server-client.ts";
import {
  type ExportRow,
  type ExportWish,
  isSelected,
  OBJECT_COLUMNS,
  objectRow,
  type RowSource,
} from "./export-kinds.ts";

/** The rows that the caller may read. @throws CommandError, ServerRefused */
export async function exportedRows(server: ServerClient, wish: ExportWish): Promise<RowSource> {
  switch (wish.kind) {
    case "events":
      return events(server, wish);
    case "audit":
      return audit(server, wish);
    case "notifications":
      return notifications(server, wish);
    case "rules":
      return rules(server, wish);
    case "users":
      return users(server, wish);
  }
}

/** Of every project that the caller may read, or of one. */
async function events(server: ServerClient, wish: ExportWish): Promise<RowSource> {
  const query = { projectId: wish.project ?? "*", ...timesOf(wish) };
  const path = "/api/v1/events/export";
  if (wish.format === "csv") return csvRows(csvRecords(server.stream(path, { ...query, format: "csv" })));
  const rows = (async function* () {
    for await (const line of linesOf(server.stream(path, query))) yield textRow(line);
  })();
  return { columns: [], rows: await begun(rows) };
}

/** The server records the export. CSV is lossless here: the trail has no empty texts. */
async function audit(server: ServerClient, wish: ExportWish): Promise<RowSource> {
  return csvRows(csvRecords(server.stream("/api/v1/audit/export", timesOf(wish))));
}

async function notifications(server: ServerClient, wish: ExportWish): Promise<RowSource> {
  const projectId = wish.project === undefined ? undefined : await projectIdOf(server, wish.project);
  const lines = linesOf(server.stream("/api/v1/notifications/export", { projectId, ...timesOf(wish) }));
  const objects = (async function* () {
    for await (const line of lines) yield JSON.parse(line) as Item;
  })();
  return objectRows(objects, "notifications");
}

async function rules(server: ServerClient, wish: ExportWish): Promise<RowSource> {
  const query = { sort: "createdAt", projectId: wish.project };
  const selected = (async function* () {
    // A signed link expires before the file is read.
    for await (const rule of server.list<Item>("/api/v1/rules", query))
      if (isWanted(wish, rule)) yield "soundUrl" in rule ? { ...rule, soundUrl: null } : rule;
  })();
  return objectRows(selected, "rules");
}

/** The members of an account without those that change by themselves. */
async function users(server: ServerClient, wish: ExportWish): Promise<RowSource> {
  const found: Item[] = [];
  for await (const user of server.list<Item>("/api/v1/users"))
    if (isWanted(wish, user))
      found.push(Object.fromEntries(OBJECT_COLUMNS.users.map((column) => [column, user[column] ?? null])));
  const key = ({ createdAt, id }: Item): string => `${String(createdAt)} ${String(id)}`;
  found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  return objectRows(
    (async function* () {
      yield* found;
    })(),
    "users",
  );
}

type Item = Readonly<Record<string, unknown>>;

function isWanted(wish: ExportWish, item: Item): boolean {
  return isSelected(wish, parseRfc3339(String(item["createdAt"])) ?? 0);
}

async function objectRows(items: AsyncIterable<Item>, kind: keyof typeof OBJECT_COLUMNS): Promise<RowSource> {
  const columns = OBJECT_COLUMNS[kind];
  const rows = async function* (): AsyncIterable<ExportRow> {
    for await (const item of items) yield objectRow(item, columns);
  };
  return { columns, rows: await begun(rows()) };
}

/** Requests the first row, so that a refusal comes before a file is created or a line written. */
async function begun<T>(rows: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const iterator = rows[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    for (let next = first; !next.done; next = await iterator.next()) yield next.value;
  })();
}

async function* linesOf(chunks: AsyncIterable<string>): AsyncIterable<string> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

function textRow(json: string): ExportRow {
  return {
    json: () => json,
    cells: () => {
      throw new TypeError("CSV is asked from the server");
    },
  };
}

/** The records of CSV; the first one is the header. */
async function csvRows(text: AsyncIterable<string[]>): Promise<RowSource> {
  const records = text[Symbol.asyncIterator]();
  const header = await records.next();
  const columns = header.done ? [] : header.value;
  return {
    columns,
    rows: (async function* () {
      for (let next = await records.next(); !next.done; next = await records.next()) yield csvRow(columns, next.value);
    })(),
  };
}

/** Members that are JSON or numbers in the API, and text in CSV. */
const JSON_COLUMNS = ["seq", "actor", "metadata"];

function csvRow(columns: readonly string[], record: readonly string[]): ExportRow {
  return {
    cells: () => record,
    json: () =>
      JSON.stringify(
        Object.fromEntries(columns.map((column, at) => [column, memberOf(column, withoutGuard(record[at] ?? ""))])),
      ),
  };
}

function memberOf(column: string, cell: string): unknown {
  if (cell === "") return null;
  return JSON_COLUMNS.includes(column) ? JSON.parse(cell) : cell;
}

/** Removes the apostrophe that protects spreadsheets. */
function withoutGuard(cell: string): string {
  return /^'[=+\-@\t\r\n]/.test(cell) ? cell.slice(1) : cell;
}

async function projectIdOf(server: ServerClient, ref: string): Promise<string> {
  return (await server.get<{ id: string }>(`/api/v1/projects/${encodeURIComponent(ref)}`)).id;
}

function timesOf({ from, to }: ExportWish): Query {
  return {
    from: from === undefined ? undefined : toRfc3339(from),
    to: to === undefined ? undefined : toRfc3339(to),
  };
}
