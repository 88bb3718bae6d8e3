import * as v from "valibot";
import { type ErrorDetail, MAX_ERROR_DETAILS, PrismError } from "../../../core/errors.ts";
import { LoopTurns } from "../../../core/promises.ts";
import { CsvReader, type CsvRecord, plainCell } from "../../../core/text/csv.ts";
import { jsonErrorPosition } from "../../../core/text/json-text.ts";
import { checkShape } from "../../../http/body/input.ts";
import type { Trx } from "../../../store/database.ts";
import type { UserStatus } from "../../../store/schema.ts";
import { type Granter, permissionsOf, type RoleRow, requireHeld } from "../authorize.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { createUser, namesOf } from "./create-user.ts";
import { usersWith, writeUser } from "./queries.ts";
import { ImportedAccount } from "./schema.ts";
import { keepingAdmin, rehearse, updateUserIn } from "./user-lifecycle.ts";

/** Handling of an existing account that differs; an equal one is always left alone. */
export const EXISTING = ["refuse", "skip", "update"] as const;

export interface ImportOptions {
  readonly existing: (typeof EXISTING)[number];
  /** Checks everything and changes nothing. */
  readonly dryRun: boolean;
}

const ACCOUNT_OUTCOMES = ["created", "updated", "unchanged", "skipped"] as const;
type Outcome = (typeof ACCOUNT_OUTCOMES)[number];

export const Imported = v.object({
  created: v.number(),
  updated: v.number(),
  unchanged: v.number(),
  skipped: v.number(),
  dryRun: v.boolean(),
  /** In the order of the file. The id is null if a dry run would create the account. */
  users: v.array(v.object({ id: v.nullable(v.string()), outcome: v.picklist(ACCOUNT_OUTCOMES) })),
});
export type AccountsImported = v.InferOutput<typeof Imported>;

const DEFAULT_ROLES = ["User"];

interface Entry {
  readonly at: number;
  readonly line: number | null;
  readonly account: ImportedAccount;
}

interface Problem {
  readonly at: number;
  readonly line: number | null;
  readonly error: PrismError;
}

interface Context {
  readonly ctx: AccountContext;
  readonly options: ImportOptions;
  readonly granter: Granter;
  readonly roles: ReadonlyMap<string, RoleRow>;
  readonly trx: Trx;
}

/**
 * Imports accounts, all or none, in one transaction. Accounts are matched by id, otherwise by
 * external id, mail address or username, in this order. Sends no invitations or mails.
 * @throws PrismError with the code of the first problem; `details` has all of them, with `path`
 * (`users.3.email`) and `line`. LAST_ADMIN
 */
export async function importAccounts(
  ctx: AccountContext,
  filed: readonly FiledAccount[],
  options: ImportOptions,
  granter: Granter,
): Promise<AccountsImported> {
  const { entries, problems } = await checked(filed);
  const work = async (trx: Trx): Promise<AccountsImported> => {
    const context: Context = { ctx, options, granter, roles: await allRoles(trx), trx };
    const users: AccountsImported["users"][number][] = [];
    const turns = new LoopTurns();
    for (const { at, line, account } of entries) {
      // The statements run in this thread: requests that only read are answered in between.
      await turns.pause();
      const made = await bringIn(account, context).catch((error: unknown) => {
        if (!(error instanceof PrismError)) throw error;
        problems.push({ at, line, error });
      });
      if (made) users.push(options.dryRun && made.outcome === "created" ? { ...made, id: account.id ?? null } : made);
    }
    if (problems.length > 0) throw refusalOf(problems);
    return recorded(users, context);
  };
  return options.dryRun ? rehearse(ctx, work) : keepingAdmin(ctx, work);
}

/** Checks that need no database, before the transaction starts. */
async function checked(filed: readonly FiledAccount[]): Promise<{ entries: Entry[]; problems: Problem[] }> {
  const entries: Entry[] = [];
  const problems: Problem[] = [];
  const turns = new LoopTurns();
  const seen = new Map<string, string>();
  for (const [at, { line, value }] of filed.entries()) {
    await turns.pause();
    try {
      const account = checkShape(ImportedAccount, readable(value), "body");
      requireOnce(account, locationOf({ at, line }), seen);
      entries.push({ at, line, account });
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      problems.push({ at, line, error });
    }
  }
  return { entries, problems };
}

/** An export has empty names, and databases number their users: both are taken. */
function readable(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const { name, externalId, ...rest } = value as { readonly name?: unknown; readonly externalId?: unknown };
  return {
    ...rest,
    ...(name === undefined || name === "" ? {} : { name }),
    ...(externalId === undefined
      ? {}
      : { externalId: Number.isSafeInteger(externalId) ? String(externalId) : externalId }),
  };
}

/** @throws VALIDATION_FAILED for a name or id of an earlier account in the file */
function requireOnce(account: ImportedAccount, location: string, seen: Map<string, string>): void {
  const names = { id: account.id, externalId: account.externalId, ...namesOf(account) };
  for (const [member, value] of Object.entries(names)) {
    if (value === undefined) continue;
    const earlier = seen.get(`${member} ${value}`);
    if (earlier !== undefined) throw refused("VALIDATION_FAILED", member, `${earlier} has the same`);
    seen.set(`${member} ${value}`, location);
  }
}

async function allRoles(trx: Trx): Promise<ReadonlyMap<string, RoleRow>> {
  const roles = await trx.selectFrom("roles").select(["id", "name", "permissions"]).execute();
  return new Map(roles.map((role) => [role.name, role]));
}

async function bringIn(account: ImportedAccount, context: Context): Promise<{ id: string; outcome: Outcome }> {
  const held = await holderOf(account, context.trx);
  if (!held) return { id: await create(account, context), outcome: "created" };
  if (context.options.existing === "skip") return { id: held.id, outcome: "skipped" };
  const changed = await update(held, account, context);
  if (changed.length === 0) return { id: held.id, outcome: "unchanged" };
  if (context.options.existing === "update") return { id: held.id, outcome: "updated" };
  // The transaction is rolled back with its changes.
  throw refused("ID_CONFLICT", "", `the account exists and differs in ${changed.join(", ")}; skip or update`);
}

interface Holder {
  readonly id: string;
  readonly status: UserStatus;
  readonly passwordHash: string | null;
}

async function holderOf(account: ImportedAccount, trx: Trx): Promise<Holder | undefined> {
  const { email, username } = namesOf(account);
  const known = { id: account.id, externalId: account.externalId, email, username };
  for (const column of ["id", "externalId", "email", "username"] as const) {
    const value = known[column];
    if (value === undefined) continue;
    return usersWith(trx, column, value).select(["id", "status", "passwordHash"]).executeTakeFirst();
  }
  return undefined;
}

async function create(account: ImportedAccount, { ctx, granter, roles, trx }: Context): Promise<string> {
  const names = account.roles ?? DEFAULT_ROLES;
  const wanted = names.map((name, at) => {
    const role = roles.get(name);
    if (!role) throw refused("ROLE_NOT_FOUND", `roles.${at}`, "is no role");
    return role;
  });
  requireHeld(permissionsOf(wanted), granter, "roles");
  const { id } = await createUser(ctx, { ...account, roles: names, isEmailVerified: true }, trx, "import");
  return id;
}

/** @returns the members that differed from the file. */
async function update(held: Holder, account: ImportedAccount, { ctx, granter, trx }: Context): Promise<string[]> {
  const { id: _id, passwordHash, status, ...members } = account;
  if (status !== undefined && status !== held.status && status !== "active" && status !== "disabled")
    throw refused("INVALID_STATE", "status", `the account is ${held.status}; set active or disabled`);
  const settable = status === "active" || status === "disabled" ? { status } : {};
  const updated = await updateUserIn(ctx, held.id, { ...members, ...settable }, granter, trx);
  // The file has the address; that it counts as verified from now on is no difference to the file.
  const changed = updated.filter((member) => member !== "emailVerified");
  // A password set here is not replaced by an older one.
  if (passwordHash === undefined || held.passwordHash !== null) return changed;
  const now = ctx.clock.now();
  await writeUser(trx, held.id, { passwordHash, passwordChangedAt: now, updatedAt: now });
  await recordChange(ctx, "user.update", "user", held.id, { changed: ["password"] }, trx);
  return [...changed, "passwordHash"];
}

async function recorded(users: AccountsImported["users"], { ctx, options, trx }: Context): Promise<AccountsImported> {
  const count = (wanted: Outcome): number => users.filter(({ outcome }) => outcome === wanted).length;
  const [created, updated, unchanged, skipped] = ACCOUNT_OUTCOMES.map(count) as [number, number, number, number];
  const metadata = { created, updated, unchanged, skipped };
  if (created + updated > 0) await ctx.audit.record({ action: "user.import", resourceType: "user", metadata }, { trx });
  return { ...metadata, dryRun: options.dryRun, users };
}

function refused(
  code: "VALIDATION_FAILED" | "ID_CONFLICT" | "ROLE_NOT_FOUND" | "INVALID_STATE",
  path: string,
  message: string,
): PrismError {
  return new PrismError(code, path === "" ? message : `${path}: ${message}`, { details: [{ path, code, message }] });
}

function locationOf({ at, line }: { readonly at: number; readonly line: number | null }): string {
  return line === null ? `users.${at}` : `line ${line}`;
}

function refusalOf(problems: readonly Problem[]): PrismError {
  const sorted = problems.toSorted((left, right) => left.at - right.at);
  const [first] = sorted;
  if (!first) throw new TypeError("a refusal needs a problem");
  const others = sorted.length - 1;
  const more = others === 0 ? "" : `; ${others} more ${others === 1 ? "account is" : "accounts are"} not valid`;
  return new PrismError(first.error.code, `${locationOf(first)}: ${first.error.message}${more}`, {
    details: sorted.flatMap(detailsOf).slice(0, MAX_ERROR_DETAILS),
  });
}

function detailsOf({ at, line, error: { code, message, details } }: Problem): ErrorDetail[] {
  const found: readonly ErrorDetail[] = details ?? [{ code, message }];
  return found.map((detail) => ({
    ...detail,
    path: `users.${at}${detail.path ? `.${detail.path}` : ""}`,
    ...(line === null ? {} : { line }),
  }));
}

export type AccountFormat = "json" | "ndjson" | "csv";

/** An unchecked account of a file. */
export interface FiledAccount {
  /** 1-based line of the file; null in a JSON document. */
  readonly line: number | null;
  readonly value: unknown;
}

/** Limit of accounts per request or file: one transaction, during which nothing else is stored. */
export const MAX_IMPORTED_ACCOUNTS = 1000;

const PIECE_LENGTH = 65_536;
const BYTE_ORDER_MARK = "\ufeff";

/** Read-only members in exports of `prism export users`. */
const READ_ONLY: ReadonlySet<string> = new Set([
  ...[
    "permissions",
    "createdAt",
    "updatedAt",
    "lastLoginAt",
    "pushTokens",
    "pusherChannels",
    "secondFactor",
    "hasPassword",
    "roleSources",
    "emailVerified",
    "effectiveTimezone",
  ],
]);

/**
 * Parses accounts: a JSON list or `{"users": [...]}`, NDJSON, or CSV with a header.
 * @throws MALFORMED_JSON, VALIDATION_FAILED with the line, BATCH_TOO_LARGE
 */
export async function readAccounts(text: string, format: AccountFormat): Promise<readonly FiledAccount[]> {
  const plain = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  const found = format === "csv" ? await readCsv(plain) : format === "ndjson" ? readLines(plain) : readDocument(plain);
  if (found.length === 0) throw unreadable("there are no accounts in it");
  requireRoom(found.length);
  return found.map(({ line, value }) => ({ line, value: settable(value) }));
}

export function formatOfText(text: string): AccountFormat {
  const first = text.replace(BYTE_ORDER_MARK, "").trimStart();
  if (!/^[[{]/.test(first)) return "csv";
  try {
    JSON.parse(first);
    return "json";
  } catch {
    // A truncated document is not NDJSON.
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

/** Empty cells are missing members; roles are separated by semicolons, or a JSON list. */
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
    // The engine's message quotes the text, which contains hashes.
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
