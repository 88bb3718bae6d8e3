import { parseRfc3339, toRfc3339 } from "../../../core/clock.ts";
import type { Context } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { csvRecords } from "../../output/text.ts";
import { type Query, type ServerClient, serverOf } from "../../server-client.ts";
import {
  type ExportRow,
  type ExportWish,
  isSelected,
  OBJECT_COLUMNS,
  objectRow,
  type RowSource,
} from "./export-kinds.ts";

/** Rows that a server gives, as far as the token may read. @throws CommandError, ServerRefused */
export async function onlineRows(context: Context, wish: ExportWish): Promise<RowSource> {
  const server = await serverOf(context);
  const close = (): void => undefined;
  switch (wish.kind) {
    case "events":
      return { ...(await events(server, wish)), close };
    case "audit":
      return { ...(await audit(server, wish)), close };
    case "notifications": {
      context.out.note("From a server these are the token's own notifications, newest first.");
      const projectId = wish.project === undefined ? undefined : await projectIdOf(server, wish.project);
      return { ...(await objects(server, wish, "notifications", timesOf(wish), inProject(projectId))), close };
    }
    case "rules":
      return { ...(await rules(server, wish)), close };
    case "users":
      throw new CommandError(
        EXIT.usage,
        "users cannot be exported from a server in this version; run it where the data directory is, with --data-dir",
      );
  }
}

/** All projects that the caller may see, unless one is named; a key has its own. */
async function events(server: ServerClient, wish: ExportWish): Promise<Omit<RowSource, "close">> {
  const isKey = server.token?.startsWith("prk_") === true;
  const projects = wish.project !== undefined ? [wish.project] : isKey ? [undefined] : await projectIds(server);
  const query = (projectId: string | undefined): Query => ({ projectId, ...timesOf(wish) });
  const path = "/api/v1/events/export";
  if (wish.format === "csv") {
    const parts = projects.map((id) => csvRecords(server.stream(path, { ...query(id), format: "csv" })));
    return csvRows(parts);
  }
  const rows = textRows(projects.map((id) => server.stream(path, query(id))));
  return { columns: [], rows: await begun(rows) };
}

/**
 * The server records the export. It gives CSV, in which nothing is lost: no cell of the trail holds
 * an empty text.
 */
async function audit(server: ServerClient, wish: ExportWish): Promise<Omit<RowSource, "close">> {
  return csvRows([csvRecords(server.stream("/api/v1/audit/export", timesOf(wish)))]);
}

async function rules(server: ServerClient, wish: ExportWish): Promise<Omit<RowSource, "close">> {
  const query = { sort: "createdAt", projectId: wish.project };
  const isWanted = (rule: Item): boolean => isSelected(wish, parseRfc3339(String(rule["createdAt"])) ?? 0);
  return objects(server, wish, "rules", query, isWanted);
}

type Item = Readonly<Record<string, unknown>>;

async function objects(
  server: ServerClient,
  { kind }: ExportWish,
  columnsOf: keyof typeof OBJECT_COLUMNS,
  query: Query,
  isWanted: (item: Item) => boolean,
): Promise<Omit<RowSource, "close">> {
  const columns = OBJECT_COLUMNS[columnsOf];
  const items = server.list<Item>(`/api/v1/${kind}`, query);
  const rows = async function* (): AsyncIterable<ExportRow> {
    for await (const item of items) if (isWanted(item)) yield objectRow(item, columns);
  };
  return { columns, rows: await begun(rows()) };
}

/** Asks for the first row, so that a refusal comes before a file is made or a line is written. */
async function begun<T>(rows: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const iterator = rows[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    for (let next = first; !next.done; next = await iterator.next()) yield next.value;
  })();
}

async function* textRows(streams: readonly AsyncIterable<string>[]): AsyncIterable<ExportRow> {
  for (const stream of streams) {
    let rest = "";
    for await (const chunk of stream) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) yield textRow(line);
    }
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

/** The records of several CSV texts with the same header. */
async function csvRows(parts: readonly AsyncIterable<string[]>[]): Promise<Omit<RowSource, "close">> {
  let columns: readonly string[] = [];
  const records = async function* (): AsyncIterable<string[]> {
    for (const part of parts) {
      let isHeader = true;
      for await (const record of part) {
        if (isHeader) columns = record;
        else yield record;
        isHeader = false;
      }
    }
  };
  const rows = await begun(records());
  return {
    columns,
    rows: (async function* () {
      for await (const record of rows) yield csvRow(columns, record);
    })(),
  };
}

/** Members that are JSON or numbers in the API's own rows, and stand in their cell as text. */
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

/** Without the apostrophe that keeps a spreadsheet from running a cell. */
function withoutGuard(cell: string): string {
  return /^'[=+\-@\t\r\n]/.test(cell) ? cell.slice(1) : cell;
}

async function projectIds(server: ServerClient): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of server.list<{ id: string }>("/api/v1/projects")) ids.push(id);
  return ids;
}

async function projectIdOf(server: ServerClient, ref: string): Promise<string> {
  return (await server.get<{ id: string }>(`/api/v1/projects/${encodeURIComponent(ref)}`)).id;
}

function inProject(projectId: string | undefined): (item: Item) => boolean {
  return projectId === undefined ? () => true : (item) => item["projectId"] === projectId;
}

function timesOf({ from, to }: ExportWish): Query {
  return {
    from: from === undefined ? undefined : toRfc3339(from),
    to: to === undefined ? undefined : toRfc3339(to),
  };
}
