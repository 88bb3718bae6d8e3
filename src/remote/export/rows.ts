import { csvLine, csvRecords, plainCell } from "../../core/text/csv.ts";
import { parseRfc3339, toRfc3339 } from "../../core/time/clock.ts";
import type { ServerClient } from "../server-client.ts";
import type { ExportFormat, ExportRequest, ExportSelection } from "./kinds.ts";

type Item = Readonly<Record<string, unknown>>;

interface RowSource {
  /** Of CSV. */
  readonly columns: readonly string[];
  /** Objects of the API, or their JSON as the server wrote it. */
  readonly rows: AsyncIterable<Item | string>;
}

/** CSV columns of objects of the API; nested objects and lists are JSON in their cell. */
const COLUMNS = {
  notifications: [
    ..."offset id userId ruleId eventId projectId kind title message action data priority aggregateCount".split(" "),
    ..."correlationId createdAt delivered readAt acknowledgedAt acknowledgeNote openedAt webviewAction".split(" "),
  ],
  incidents: [
    ..."id number projectId title state severity urgency policy alerts openedAt notifiedAt reachedAt".split(" "),
    ..."acknowledgedAt resolvedAt resolvedBy groupLabels".split(" "),
  ],
  alerts: [
    ..."id projectId state severity source fingerprint labels annotations startsAt lastAt resolvedAt count".split(" "),
  ],
  rules: [
    ..."id projectId name description condition targetRoles targetUsers channels titleTemplate".split(" "),
    ..."messageTemplate sound action priority active version createdBy createdAt updatedAt stats".split(" "),
  ],
  users: [
    ..."id email username phone externalId name roles status timezone locale lastLoginAt createdAt".split(" "),
    ..."updatedAt".split(" "),
  ],
} as const;

/** The text of an export: JSON is one array, CSV has a header. @param onRow called for each row */
export async function* formatRows(
  { columns, rows }: RowSource,
  format: ExportFormat,
  onRow: () => void,
): AsyncIterable<string> {
  if (format === "csv") yield csvLine(columns);
  let separator = "[\n";
  for await (const row of rows) {
    onRow();
    const json = typeof row === "string" ? row : JSON.stringify(row);
    if (format === "csv") yield csvLine(cellsOf(row as Item, columns));
    else if (format === "ndjson") yield `${json}\n`;
    else yield separator + json;
    separator = ",\n";
  }
  if (format === "json") yield separator === "[\n" ? "[]\n" : "\n]\n";
}

/** The state `me` of a notification becomes columns. */
function cellsOf(row: Item, columns: readonly string[]) {
  const flat: Item = { ...row, ...(row["me"] as object | undefined) };
  return columns.map((column) => {
    const value = flat[column] ?? null;
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
    return value === null ? null : JSON.stringify(value);
  });
}

/** The rows that the caller may read. @throws CommandError, ServerRefused */
export async function exportedRows(server: ServerClient, selection: ExportRequest): Promise<RowSource> {
  const { kind, format, project } = selection;
  const [from, to] = [selection.from, selection.to].map((at) => (at === undefined ? undefined : toRfc3339(at)));
  switch (kind) {
    case "events": {
      // Of every project that the caller may read, or of one.
      const query = { projectId: project ?? "*", from, to };
      if (format === "csv") return csvRows(server.stream("/api/v1/events/export", { ...query, format }), textOf);
      return started([], linesOf(server.stream("/api/v1/events/export", query)));
    }
    case "audit":
      // The server records the export. CSV is lossless here: the trail has no empty texts.
      return csvRows(server.stream("/api/v1/audit/export", { from, to }), format === "csv" ? textOf : memberOf);
    case "notifications": {
      const path = `/api/v1/projects/${encodeURIComponent(project ?? "")}`;
      const projectId = project === undefined ? undefined : (await server.get<{ id: string }>(path)).id;
      const lines = linesOf(server.stream("/api/v1/notifications/export", { projectId, from, to }));
      return started(
        COLUMNS.notifications,
        mapped(lines, (line) => JSON.parse(line) as Item),
      );
    }
    case "incidents":
      return started(COLUMNS.incidents, inOrder(server, selection, "/api/v1/incidents", [undefined], "openedAt"));
    case "alerts": {
      const states = ["firing", "pending", "resolved"];
      return started(COLUMNS.alerts, inOrder(server, selection, "/api/v1/alerts", states, "startsAt"));
    }
    case "rules": {
      const rules = server.list<Item>("/api/v1/rules", { sort: "createdAt", projectId: project });
      // A signed link expires before the file is read.
      const unsigned = (rule: Item) => ("soundUrl" in rule ? { ...rule, soundUrl: null } : rule);
      return started(
        COLUMNS.rules,
        mapped(rules, (rule) => (isSelected(selection, rule) ? unsigned(rule) : null)),
      );
    }
    case "users":
      return started(COLUMNS.users, users(server, selection));
  }
}

/** The members of an account without those that change by themselves. */
async function* users(server: ServerClient, selection: ExportSelection): AsyncIterable<Item> {
  const found: Item[] = [];
  for await (const user of server.list<Item>("/api/v1/users"))
    if (isSelected(selection, user))
      found.push(Object.fromEntries(COLUMNS.users.map((column) => [column, user[column] ?? null])));
  const key = ({ createdAt, id }: Item): string => `${String(createdAt)} ${String(id)}`;
  yield* found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** The API lists the newest ones first, and each state on its own. */
async function* inOrder(
  server: ServerClient,
  selection: ExportSelection,
  path: string,
  states: readonly (string | undefined)[],
  time: string,
): AsyncIterable<Item> {
  const found: Item[] = [];
  for (const state of states)
    for await (const item of server.list<Item>(path, { projectId: selection.project, state }))
      if (isSelected(selection, item, time)) found.push(item);
  const key = (item: Item): string => `${String(item[time])} ${String(item["id"])}`;
  yield* found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function isSelected({ from, to }: ExportSelection, item: Item, time = "createdAt"): boolean {
  const at = parseRfc3339(String(item[time])) ?? 0;
  return (from === undefined || at >= from) && (to === undefined || at < to);
}

/** Without those that become null. */
async function* mapped<T>(items: AsyncIterable<T>, change: (item: T) => Item | null): AsyncIterable<Item> {
  for await (const item of items) {
    const row = change(item);
    if (row) yield row;
  }
}

/** Requests the first row, so that a refusal comes before a file is created or a line written. */
async function started(columns: readonly string[], rows: RowSource["rows"]): Promise<RowSource> {
  const iterator = rows[Symbol.asyncIterator]();
  const first = await iterator.next();
  const all = async function* () {
    for (let next = first; !next.done; next = await iterator.next()) yield next.value;
  };
  return { columns, rows: all() };
}

async function* linesOf(chunks: AsyncIterable<string>): AsyncIterable<string> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** The records of CSV; the first one is the header. */
async function csvRows(
  text: AsyncIterable<string>,
  read: (cell: string, column: string) => unknown,
): Promise<RowSource> {
  const records = csvRecords(text)[Symbol.asyncIterator]();
  const header = await records.next();
  const columns = header.done ? [] : header.value;
  const all = async function* () {
    for (let next = await records.next(); !next.done; next = await records.next()) {
      const { value: cells } = next;
      yield Object.fromEntries(columns.map((column, at) => [column, read(cells[at] ?? "", column)]));
    }
  };
  return { columns, rows: all() };
}

const textOf = (cell: string): string => cell;

/** Members that are JSON or numbers in the API, and text in CSV. */
const JSON_COLUMNS = ["seq", "actor", "metadata"];

function memberOf(cell: string, column: string): unknown {
  if (cell === "") return null;
  const text = plainCell(cell);
  return JSON_COLUMNS.includes(column) ? JSON.parse(text) : text;
}
