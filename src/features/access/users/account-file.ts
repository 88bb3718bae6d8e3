import { CsvReader, type CsvRecord, plainCell } from "../../../core/csv.ts";
import { type ErrorDetail, PrismError } from "../../../core/errors.ts";
import { jsonErrorPosition } from "../../../core/json-text.ts";
import { LoopTurns } from "../../../core/promises.ts";

export type AccountFormat = "json" | "ndjson" | "csv";

/** An account in a file, unchecked. */
export interface FiledAccount {
  /** 1-based line of the file on which it begins; null in a JSON document. */
  readonly line: number | null;
  readonly value: unknown;
}

/** Accounts of one request or file: they are one transaction, and nothing else is stored during it. */
export const MAX_IMPORTED_ACCOUNTS = 1000;

const PIECE_LENGTH = 65_536;
const BYTE_ORDER_MARK = "\ufeff";

/** What Prism shows of an account and nobody sets: in what `prism export users` wrote. */
const READ_ONLY = new Set(["permissions", "createdAt", "updatedAt", "lastLoginAt", "pushTokens", "pusherChannels"]);

/**
 * The accounts of a text: a JSON list or `{"users": [...]}`, an object a line, or CSV whose first line names the members.
 * @throws MALFORMED_JSON, VALIDATION_FAILED with the line, BATCH_TOO_LARGE
 */
export async function readAccounts(text: string, format: AccountFormat): Promise<readonly FiledAccount[]> {
  const plain = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  const found = format === "csv" ? await readCsv(plain) : format === "ndjson" ? readLines(plain) : readDocument(plain);
  if (found.length === 0) throw unreadable("there are no accounts in it");
  requireRoom(found.length);
  return found.map(({ line, value }) => ({ line, value: settable(value) }));
}

/** What a text is that nothing else says it of. */
export function formatOfText(text: string): AccountFormat {
  const first = text.replace(BYTE_ORDER_MARK, "").trimStart();
  if (!/^[[{]/.test(first)) return "csv";
  try {
    JSON.parse(first);
    return "json";
  } catch {
    // A document that breaks off in its middle is not an object a line.
    return isJson(first.split("\n", 1)[0] ?? "") ? "ndjson" : "json";
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function readDocument(text: string): FiledAccount[] {
  const value = parseJson(text, null);
  const list = isObject(value) && Array.isArray(value["users"]) ? value["users"] : value;
  const accounts: readonly unknown[] = Array.isArray(list) ? list : [list];
  return accounts.map((each) => ({ line: null, value: each }));
}

function readLines(text: string): FiledAccount[] {
  const lines = text.split("\n").map((content, at) => ({ content, line: at + 1 }));
  const full = lines.filter(({ content }) => content.trim() !== "");
  requireRoom(full.length);
  return full.map(({ content, line }) => ({ line, value: parseJson(content, line) }));
}

async function readCsv(text: string): Promise<FiledAccount[]> {
  const reader = new CsvReader();
  const records: CsvRecord[] = [];
  const turns = new LoopTurns();
  for (let at = 0; at < text.length; at += PIECE_LENGTH) {
    await turns.pause();
    records.push(...reader.push(text.slice(at, at + PIECE_LENGTH)));
  }
  if (reader.isQuoteOpen) throw unreadable("a quote is opened and not closed", reader.line);
  records.push(...reader.end());
  const [head, ...rows] = records.filter(({ cells }) => cells.some((cell) => cell.trim() !== ""));
  if (!head) return [];
  const members = head.cells.map((cell) => cell.trim());
  const repeated = members.find((member, at) => members.indexOf(member) !== at);
  if (repeated !== undefined) throw unreadable(`the column ${repeated} is there twice`, head.line);
  requireRoom(rows.length);
  return rows.map((row) => ({ line: row.line, value: accountOfCells(members, row) }));
}

/** Empty cells are absent members; several roles have semicolons between them, or are a JSON list as in exports. */
function accountOfCells(members: readonly string[], { cells, line }: CsvRecord): Readonly<Record<string, unknown>> {
  if (cells.length !== members.length)
    throw unreadable(`has ${cells.length} cells, and the first line names ${members.length}`, line);
  const entries = members.map((member, at) => [member, plainCell(cells[at] ?? "").trim()] as const);
  const given = entries.filter(([, text]) => text !== "");
  return Object.fromEntries(given.map(([member, text]) => [member, member === "roles" ? rolesOf(text, line) : text]));
}

function rolesOf(text: string, line: number): unknown {
  if (text.startsWith("[")) return parseJson(text, line);
  return text.split(";").map((role) => role.trim());
}

/** Without what Prism sets itself, and without what is empty. */
function settable(value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([member, each]) => each !== null && !READ_ONLY.has(member)));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function requireRoom(count: number): void {
  if (count <= MAX_IMPORTED_ACCOUNTS) return;
  const message = `${count} accounts; bring in at most ${MAX_IMPORTED_ACCOUNTS} at a time`;
  throw new PrismError("BATCH_TOO_LARGE", message);
}

function parseJson(text: string, line: number | null): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The engine's words quote the text, which holds hashes.
    const position = jsonErrorPosition(error);
    const where = position === undefined ? "" : ` at character ${position}`;
    throw unreadable(`stops being JSON${where}`, line ?? undefined, "MALFORMED_JSON");
  }
}

function unreadable(
  message: string,
  line?: number,
  code: "VALIDATION_FAILED" | "MALFORMED_JSON" = "VALIDATION_FAILED",
): PrismError {
  const detail: ErrorDetail = line === undefined ? { message } : { line, message: `line ${line}: ${message}` };
  return new PrismError(code, `The accounts cannot be read: ${detail.message}`, { details: [detail] });
}
