import { parseRfc3339, toRfc3339 } from "../../core/clock.ts";
import { csvRecords } from "../../core/csv.ts";
import type { Query, ServerClient } from "../server-client.ts";
import { type ExportRequest, type ExportRow, isSelected, OBJECT_COLUMNS, objectRow, type RowSource } from "./kinds.ts";

/** The rows that the caller may read. @throws CommandError, ServerRefused */
export async function exportedRows(server: ServerClient, selection: ExportRequest): Promise<RowSource> {
  switch (selection.kind) {
    case "events":
      return events(server, selection);
    case "audit":
      return audit(server, selection);
    case "notifications":
      return notifications(server, selection);
    case "rules":
      return rules(server, selection);
    case "users":
      return users(server, selection);
  }
}

/** Of every project that the caller may read, or of one. */
async function events(server: ServerClient, selection: ExportRequest): Promise<RowSource> {
  const query = { projectId: selection.project ?? "*", ...timesOf(selection) };
  const path = "/api/v1/events/export";
  if (selection.format === "csv") return csvRows(csvRecords(server.stream(path, { ...query, format: "csv" })));
  const rows = (async function* () {
    for await (const line of linesOf(server.stream(path, query))) yield textRow(line);
  })();
  return { columns: [], rows: await started(rows) };
}

/** The server records the export. CSV is lossless here: the trail has no empty texts. */
async function audit(server: ServerClient, selection: ExportRequest): Promise<RowSource> {
  return csvRows(csvRecords(server.stream("/api/v1/audit/export", timesOf(selection))));
}

async function notifications(server: ServerClient, selection: ExportRequest): Promise<RowSource> {
  const projectId = selection.project === undefined ? undefined : await projectIdOf(server, selection.project);
  const lines = linesOf(server.stream("/api/v1/notifications/export", { projectId, ...timesOf(selection) }));
  const objects = (async function* () {
    for await (const line of lines) yield JSON.parse(line) as Item;
  })();
  return objectRows(objects, "notifications");
}

async function rules(server: ServerClient, selection: ExportRequest): Promise<RowSource> {
  const query = { sort: "createdAt", projectId: selection.project };
  const selected = (async function* () {
    // A signed link expires before the file is read.
    for await (const rule of server.list<Item>("/api/v1/rules", query))
      if (isWanted(selection, rule)) yield "soundUrl" in rule ? { ...rule, soundUrl: null } : rule;
  })();
  return objectRows(selected, "rules");
}

/** The members of an account without those that change by themselves. */
async function users(server: ServerClient, selection: ExportRequest): Promise<RowSource> {
  const found: Item[] = [];
  for await (const user of server.list<Item>("/api/v1/users"))
    if (isWanted(selection, user))
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

function isWanted(selection: ExportRequest, item: Item): boolean {
  return isSelected(selection, parseRfc3339(String(item["createdAt"])) ?? 0);
}

async function objectRows(items: AsyncIterable<Item>, kind: keyof typeof OBJECT_COLUMNS): Promise<RowSource> {
  const columns = OBJECT_COLUMNS[kind];
  const rows = async function* (): AsyncIterable<ExportRow> {
    for await (const item of items) yield objectRow(item, columns);
  };
  return { columns, rows: await started(rows()) };
}

/** Requests the first row, so that a refusal comes before a file is created or a line written. */
async function started<T>(rows: AsyncIterable<T>): Promise<AsyncIterable<T>> {
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

function timesOf({ from, to }: ExportRequest): Query {
  return {
    from: from === undefined ? undefined : toRfc3339(from),
    to: to === undefined ? undefined : toRfc3339(to),
  };
}
