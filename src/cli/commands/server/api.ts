import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import type { PrismRequest } from "../../../client/api.ts";
import { nearestName } from "../../../config/nearest.ts";
import {
  type OpenApiDocument,
  type Operation,
  type OperationMember,
  operationsOf,
} from "../../../http/api/openapi/operation-table.ts";
import type { Page, ServerClient } from "../../../remote/server-client.ts";
import { contextOf } from "../../context.ts";
import { readStdin, readTextFile } from "../../files.ts";
import { online } from "../../on-server.ts";
import { byId, operations, pathOf } from "../../operations.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { type Output, printable } from "../../output/output.ts";
import { tableOf } from "../../resource.ts";

interface ApiFlags {
  readonly data?: string;
  readonly all?: boolean;
  readonly help?: boolean;
}

/** Calls any operation of the HTTP API. */
export function addApi(program: Command): void {
  program
    .command("api")
    .description("call an operation of the HTTP API by its id and print its answer; without an id, list them")
    // One argument: with a longer line for it the help of the program would not wrap its texts.
    .argument("[operation...]", "its id, such as listRules, and values: name=value, or --name value")
    .option("--data <json>", "the body as JSON, @file or - for stdin; values of members replace those in it")
    .option("--all", "all pages of a list as one")
    // Commander's own would not know the operation.
    .helpOption(false)
    .option("-h, --help", "show this text, or the parameters of the operation")
    .allowUnknownOption()
    .addHelpText(
      "after",
      `
A member that is an array takes several values: the name again, or a JSON array. Objects are JSON.
name=value also works where a flag has that name, such as url=https://example.org.

Examples:
  $ prism api
  $ prism api createHeartbeat --help
  $ prism api listRules active=true
  $ prism api createHeartbeat name='Nightly backup' timeoutMs=86400000
  $ prism api sendEvents --data @events.json`,
    )
    .action((_words: readonly string[], flags: ApiFlags, command: Command) => {
      const [id, ...words] = command.args;
      if (id?.startsWith("-")) throw new CommandError(EXIT.usage, `unknown option '${id}'`);
      if (id === undefined) return flags.help === true ? command.outputHelp() : listOperations(contextOf(command).out);
      const own = operations().get(id);
      if (own && flags.help === true) return describe(own, contextOf(command).out);
      return online(command, async (server, { out }) => {
        const operation = own ?? (await operationAt(server, id));
        return flags.help === true ? describe(operation, out) : call(server, operation, words, flags, out);
      });
    });
}

function listOperations(out: Output): void {
  const listed = [...operations().values()].map(({ id, method, path, summary }) => ({ id, method, path, summary }));
  const columns = { OPERATION: "id", REQUEST: "{method} {path}", SUMMARY: "summary" };
  out.result({ operations: listed }, () => tableOf(columns, listed));
}

const VALUE_NAMES = { string: "text", integer: "n", number: "n", boolean: "true|false", json: "json" };

function describe(operation: Operation, out: Output): void {
  const { id, method, path, summary, members, body = [] } = operation;
  out.result(operation, () => {
    const lines = members.map(({ name, kind, many, choices, required, text = "" }) => {
      const value = `<${choices?.join("|") ?? VALUE_NAMES[kind]}>${many ? "..." : ""}`;
      return [`  --${name} ${value}`, `${text}${required ? " (required)" : ""}`] as const;
    });
    const width = Math.min(40, Math.max(0, ...lines.map(([flag]) => flag.length)));
    return [
      `${out.bold(id)}: ${printable(summary)}`,
      `${method} ${path}`,
      ...(body.length === 0 ? [] : [`Body: ${body.join(", ")}`]),
      ...(lines.length === 0 ? [] : [""]),
      ...lines.map(([flag, text]) => `${flag.padEnd(width)}  ${printable(text)}`.trimEnd()),
    ];
  });
}

/**
 * Calls the operation; at a server of another version as that one describes it.
 * @throws CommandError 6 OPERATION_NOT_FOUND where the server lacks it, 2; ServerRefused
 */
async function call(
  server: ServerClient,
  operation: Operation,
  words: readonly string[],
  flags: ApiFlags,
  out: Output,
): Promise<void> {
  const data = flags.data === undefined ? undefined : await bytesOf(flags.data);
  let known = operation;
  let given = valuesOf(known, words);
  if (given.unknown.length > 0) {
    known = await operationAt(server, operation.id);
    given = valuesOf(known, words);
    requireKnown(known, given.unknown);
  }
  try {
    await send(server, known, requestOf(known, given, data), flags, out);
  } catch (error) {
    if (!isOfNoRoute(error)) throw error;
    const theirs = await operationAt(server, operation.id, error);
    if (theirs.method === known.method && theirs.path === known.path) throw error;
    const again = valuesOf(theirs, words);
    requireKnown(theirs, again.unknown);
    await send(server, theirs, requestOf(theirs, again, data), flags, out);
  }
}

function isOfNoRoute(error: unknown): error is ServerRefused {
  return error instanceof ServerRefused && (error.code === "NOT_FOUND" || error.code === "METHOD_NOT_ALLOWED");
}

/** The operation as a server describes it. @param refusal to throw if that server shows no description */
async function operationAt(server: ServerClient, id: string, refusal?: ServerRefused): Promise<Operation> {
  const document = await server.get<OpenApiDocument>("/openapi.json").catch((error: unknown) => {
    throw refusal ?? error;
  });
  const theirs = byId(operationsOf(document));
  const found = theirs.get(id);
  if (found) return found;
  const nearest = nearestName(id, [...theirs.keys()]);
  const hint = nearest === undefined ? "prism api lists those of this program" : `did you mean ${nearest}?`;
  const message = `${server.base}, Prism ${printable(document.info.version)}, has no operation ${printable(id)}; ${hint}`;
  throw new CommandError(EXIT.notFound, message, { code: "OPERATION_NOT_FOUND" });
}

/** Values from the command line by place and name; names that the operation lacks. */
interface Given {
  readonly values: Readonly<Record<OperationMember["in"], Record<string, unknown>>>;
  readonly unknown: readonly string[];
}

/** @throws CommandError 2 */
function valuesOf({ members }: Operation, words: readonly string[]): Given {
  const values: Given["values"] = { path: {}, query: {}, header: {}, body: {} };
  const unknown: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const [, flag, name = "", inline] = /^(--)?([\w-]+)(?:=([\s\S]*))?$/.exec(words[at] ?? "") ?? [];
    if (name === "" || (flag === undefined && inline === undefined))
      throw new CommandError(EXIT.usage, `${printable(words[at] ?? "")} is not a value such as name=value`);
    const member = memberNamed(members, name);
    const next = words[at + 1];
    const isSwitch = member?.kind === "boolean" && next !== "true" && next !== "false";
    if (inline === undefined && !isSwitch) at++;
    const text = inline ?? (isSwitch ? "true" : next);
    if (text === undefined) throw new CommandError(EXIT.usage, `--${name} has no value`);
    if (member) setValue(values[member.in], member, text);
    else unknown.push(name);
  }
  return { values, unknown };
}

const PLACES: readonly OperationMember["in"][] = ["path", "body", "query", "header"];

/** `--project-id` is `--projectId`, too. */
function memberNamed(members: readonly OperationMember[], name: string): OperationMember | undefined {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, "");
  const found = members.filter((each) => plain(each.name) === plain(name));
  return found.sort((a, b) => PLACES.indexOf(a.in) - PLACES.indexOf(b.in))[0];
}

function requireKnown({ id, members }: Operation, [name]: readonly string[]): void {
  if (name === undefined) return;
  const nearest = nearestName(
    name,
    members.map((each) => each.name),
  );
  const hint = nearest === undefined ? `prism api ${id} --help lists its parameters` : `did you mean ${nearest}?`;
  throw new CommandError(EXIT.usage, `${id} has no parameter ${name}; ${hint}`);
}

function setValue(values: Record<string, unknown>, member: OperationMember, text: string): void {
  const { name, many } = member;
  if (member.nullable && text === "null") values[name] = null;
  else if (!many) values[name] = parsedValue(member, text);
  else if (text.startsWith("[")) values[name] = parsedValue({ name, kind: "json" }, text);
  else values[name] = [...((values[name] ?? []) as unknown[]), parsedValue(member, text)];
}

/** @throws CommandError 2 */
function parsedValue({ name, kind, many }: Pick<OperationMember, "name" | "kind" | "many">, text: string): unknown {
  if (kind === "string") return text;
  if (kind === "boolean" && (text === "true" || text === "false")) return text === "true";
  if ((kind === "integer" || kind === "number") && text.trim() !== "" && Number.isFinite(Number(text)))
    return Number(text);
  if (kind === "json")
    try {
      return JSON.parse(text);
    } catch {
      // Such as a matcher, which may be a text or an object.
      if (many) return text;
    }
  const wanted = kind === "boolean" ? "true or false" : kind === "json" ? "JSON" : "a number";
  throw new CommandError(EXIT.usage, `${name} is ${wanted}, not ${printable(text)}`);
}

async function bytesOf(given: string): Promise<Buffer> {
  if (given === "-") return Buffer.from(await readStdin());
  if (!given.startsWith("@")) return Buffer.from(given);
  const path = given.slice(1);
  // Text is read first for its message about files that cannot be read.
  readTextFile(path, "--data");
  return readFileSync(path);
}

const JSON_TYPE = "application/json";

/** @throws CommandError 2 */
function requestOf(operation: Operation, { values }: Given, data: Buffer | undefined): PrismRequest {
  const { id, method, members } = operation;
  const missing = members.find(({ in: place, name }) => place === "path" && values.path[name] === undefined);
  if (missing) throw new CommandError(EXIT.usage, `${id} needs ${missing.name}; prism api ${id} --help`);
  const headers = Object.fromEntries(Object.entries(values.header).map(([name, value]) => [name, String(value)]));
  const body = bodyOf(operation, data);
  const request = { method, path: pathOf(operation, values.path), query: values.query, headers };
  if (Object.keys(values.body).length === 0) return { ...request, ...body };
  if (isObject(body.body)) return { ...request, body: { ...body.body, ...values.body } };
  // A list or a text: parameters may have the names of an object's members.
  const others = Object.keys(values.body).filter((name) => !members.some((m) => m.in === "query" && m.name === name));
  if (others.length > 0) throw new CommandError(EXIT.usage, `the body in --data has no member ${others[0]}`);
  return { ...request, query: { ...values.query, ...values.body }, ...body };
}

/** @throws CommandError 2 */
function bodyOf(
  { id, body: types = [] }: Operation,
  data: Buffer | undefined,
): Pick<PrismRequest, "body" | "contentType"> {
  const takesJson = types[0] === JSON_TYPE;
  if (types.length === 0 && data !== undefined) throw new CommandError(EXIT.usage, `${id} has no body`);
  if (types.length === 0) return {};
  if (data === undefined && !takesJson) throw new CommandError(EXIT.usage, `give the body of ${id} with --data @file`);
  const parsed = data === undefined ? {} : takesJson ? jsonOf(data) : undefined;
  if (parsed !== undefined) return { body: parsed };
  const type = types.find((each) => each !== JSON_TYPE && !each.startsWith("multipart/"));
  if (type === undefined) throw new CommandError(EXIT.usage, "--data is not JSON");
  return { body: data, contentType: type };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
}

/** @returns undefined for what is not JSON */
function jsonOf(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString("utf8"));
  } catch {
    return undefined;
  }
}

async function send(
  server: ServerClient,
  operation: Operation,
  request: PrismRequest,
  { all = false }: ApiFlags,
  out: Output,
): Promise<void> {
  const answer = await server.open(request);
  const type = answer.headers.get("Content-Type") ?? "";
  if (answer.status === 204 || type === "") return print(null, out);
  if (!/^application\/(?:[\w.-]+\+)?json\b/.test(type)) {
    if (answer.body) await pipeline([Readable.fromWeb(answer.body as never), process.stdout], { end: false });
    return;
  }
  const value = (await answer.json()) as Partial<Page<unknown>> | null;
  print(all && operation.paged ? await withAllPages(server, request, value as Page<unknown>) : value, out);
}

async function withAllPages(server: ServerClient, request: PrismRequest, first: Page<unknown>): Promise<Page<unknown>> {
  const data = [...first.data];
  for (let cursor = first.nextCursor; cursor !== null; ) {
    const answer = await server.open({ ...request, query: { ...request.query, cursor } });
    const page = (await answer.json()) as Page<unknown>;
    data.push(...page.data);
    cursor = page.nextCursor;
  }
  return { ...first, data, nextCursor: null };
}

/** One line with --json, otherwise indented. An answer without a body is nothing, or null. */
function print(value: unknown, out: Output): void {
  out.result(value, () => (value === null ? [] : JSON.stringify(value, null, 2).split("\n").map(printable)));
}
