import { Argument, type Command, Option } from "commander";
import type { Answers } from "../client/api-types.gen.ts";
import type { Operation } from "../http/api/openapi/operation-table.ts";
import { type Query, type ServerClient, SLICED_LIMIT_MS } from "../remote/server-client.ts";
import { confirm } from "./commands/access/prompt.ts";
import { type CommandContext, contextOf } from "./context.ts";
import { type Look, online, pick, show } from "./on-server.ts";
import { operations, pathOf } from "./operations.ts";
import { CommandError, EXIT, ServerRefused } from "./output/exit-codes.ts";
import { integerFlag } from "./output/flag-values.ts";
import { cut, type Output, printable, shortTime, table } from "./output/output.ts";
import { withServer } from "./with-server.ts";

/* Commands that list, show and change one kind of thing, as data: a verb calls an operation of the API. */

/** Values by their names in the API. */
export type Values = Readonly<Record<string, unknown>>;

/** An option of Commander, or the arguments of its `option()`. */
type Flag =
  | Option
  | readonly [flags: string, text: string]
  | readonly [flags: string, text: string, initial: string]
  | readonly [flags: string, text: string, parse: (text: string, before: never) => unknown, initial?: unknown];

/** Context of a verb when its request is made and its answer printed. */
export interface Call {
  readonly server: ServerClient;
  readonly out: Output;
  /** Values of arguments and flags by their declared names; those of a search are not among them. */
  readonly given: Values;
  /** Values of the flags for the search. */
  readonly scope: Values;
  /** The thing of the first argument; without one an empty object. */
  readonly found: Values;
}

/** One command. Functions may say the type of what the server answers. */
export interface Verb {
  readonly text: string;
  /** Words after the command, or a line that begins with `$ `; or the whole text below the help. */
  readonly examples: string | readonly string[];
  /** A sentence above the examples. */
  readonly about?: string;
  /** The operation, or one of the operator such as `POST /api/v1/operator/unlock`; absent: the verb shows the thing. */
  readonly of?: string;
  /** The first argument names the thing. */
  readonly one?: true | undefined;
  /** Arguments and flags by the names of the API, in this order. */
  readonly args?: Readonly<Record<string, Argument | readonly [name: string, text: string]>>;
  readonly flags?: Readonly<Record<string, Flag>>;
  /** Pairs of flags that contradict each other, by the names above. */
  readonly excludes?: readonly (readonly [string, string])[];
  /** A list: its columns as {@link cell}s, or texts with them in braces. */
  readonly columns?: Columns;
  /** Lines of a list in place of a table. */
  rows?(rows: unknown, call: Call): readonly string[];
  /** The list ends after so many entries. */
  readonly most?: number;
  /** It has none of the flags of `scope`. */
  readonly global?: true;
  /** Name of the list in JSON; default: that of the group. */
  readonly as?: string;
  /** Text for a list without entries. */
  readonly none?: string | ((given: Values) => string);
  /** Adds --limit with this default. */
  readonly limit?: number;
  /** Asked before, unless --yes is given. */
  readonly ask?: string;
  /** A line with {@link cell}s in braces. */
  readonly say?: string;
  /** Refuses flags, and reads what it returns as further values, before a server is asked. @throws CommandError 2 */
  check?(given: Values): unknown;
  /** The server does it in slices, which may take minutes. */
  readonly isLong?: true;
  /** It has the flag `watch`, and is repeated with it. */
  readonly watch?: true;
  /** Values of the request; default: the given ones. */
  values?(given: Values, call: Call): Values | Promise<Values>;
  /** Value that --json prints; default: the answer, or the row. */
  json?(subject: unknown, call: Call): unknown;
  lines?(subject: unknown, call: Call): string | readonly string[];
  /** After the result. */
  after?(subject: unknown, call: Call): void | Promise<void>;
  /** Reads the shown value, where one operation does not give it. */
  get?(call: Call): Promise<unknown>;
  run?(call: Call): Promise<void>;
  /** Does everything itself, and no server is opened for it; after `false` the other members of the verb count. */
  act?(context: CommandContext, given: Values): unknown;
  /** It changes something, though no `of` or `ask` says so: also its reads wait for a server in a take-over. */
  readonly changes?: true;
  /** It needs a server that runs. */
  readonly mustRun?: true;
  /** In a group for the operator: the command also works at a server named by --url. */
  readonly anywhere?: true;
}

type Columns = Readonly<Record<string, string | ((row: never) => string | number | null)>>;

export interface CommandGroup {
  readonly text: string;
  /** Words after `prism`, or the whole text below the help. */
  readonly examples: string | readonly string[];
  /** Description of the argument that names a row. */
  readonly ref?: string;
  /** The operation that lists the things. */
  readonly list?: string;
  /** Members by which people name a thing. */
  readonly names?: readonly string[];
  /** A line that distinguishes a thing from others of the same name. */
  readonly line?: string;
  /** Only so many things are searched for a name. */
  readonly searched?: number;
  /** Flags of each verb, for the search too, such as that of the project. */
  readonly scope?: Readonly<Record<string, Flag>>;
  /** Finds a thing in place of a search in the list. */
  find?(server: ServerClient, ref: string, scope: Values): Promise<object>;
  readonly alias?: string;
  /** The verb of the group's name alone; default: its help, with exit 2. */
  readonly bare?: string;
  /** Its routes are of the operator: the commands work on the data directory only. */
  readonly operator?: true;
  readonly verbs: Readonly<Record<string, Verb>>;
}

/** Adds a group of commands for the things of one kind. @param one singular, such as `silence` */
export function resource(program: Command, name: string, one: string, given: CommandGroup): Command {
  const group = program
    .command(name)
    .description(given.text)
    .addHelpText("after", `\n${exampleText(given.examples, "")}`);
  if (given.alias !== undefined) group.alias(given.alias);
  for (const [each, verb] of Object.entries(given.verbs)) addVerb(group, each, one, verb, given);
  return group;
}

const NO_GROUP: CommandGroup = { text: "", examples: "", verbs: {} };

/** Adds one command that is in no group. */
export function single(program: Command, name: string, verb: Verb): Command {
  return addVerb(program, name, "", verb, NO_GROUP);
}

/** Adds commands below one. */
export function nested(command: Command, verbs: CommandGroup["verbs"]): void {
  for (const [name, verb] of Object.entries(verbs)) addVerb(command, name, "", verb, NO_GROUP);
}

function addVerb(group: Command, name: string, one: string, verb: Verb, resource: CommandGroup): Command {
  const { args = {}, flags = {}, limit, ask } = verb;
  const command = group.command(name, { isDefault: name === resource.bare }).description(verb.text);
  if (verb.one) command.argument(`<${one}>`, resource.ref);
  for (const arg of Object.values(args))
    if (arg instanceof Argument) command.addArgument(arg);
    else command.argument(...arg);
  const scope = addFlags(command, verb.global ? {} : (resource.scope ?? {}));
  const own = addFlags(command, flags);
  if (limit !== undefined) command.option("--limit <n>", "list at most this many", integerFlag(1, 100_000), limit);
  if (ask !== undefined) command.option("--yes", "do not ask");
  for (const [name, other] of verb.excludes ?? []) exclude(command, { ...scope, ...own }, name, other);
  const prefix = group.parent ? `${group.name()} ${name}` : name;
  const lines = exampleText(verb.examples, prefix);
  command.addHelpText("after", `${verb.about === undefined ? "" : `\n${verb.about}\n`}\n${lines}`);
  return command.action(async (...words: unknown[]) => {
    const [ref = "", ...more] = verb.one ? (words as string[]) : ["", ...(words as string[])];
    const opts = command.opts();
    const valuesOf = (names: Readonly<Record<string, string>>): Values =>
      Object.fromEntries(Object.entries(names).map(([key, attribute]) => [key, opts[attribute]]));
    const scoped = valuesOf(scope);
    const values = {
      ...(verb.one ? {} : scoped),
      ...Object.fromEntries(Object.keys(args).map((key, at) => [key, more[at]])),
      ...valuesOf(own),
    };
    const given: Values = { ...values, ...((await verb.check?.(values)) as Values | undefined) };
    const find = (server: ServerClient): Promise<Values> => findOne(server, ref, one, resource, scoped);
    const context = contextOf(command);
    const { out } = context;
    if (verb.act && (await verb.act(context, given)) !== false) return;
    if (ask !== undefined) return askAndDo(context, verb, find, { given, scope: scoped }, opts["yes"] === true);
    const isWatched = verb.watch === true && given["watch"] === true;
    const use =
      resource.operator && !verb.anywhere ? { localOnly: prefix } : { mustRun: isWatched || verb.mustRun === true };
    await online(
      command,
      async (server) => {
        if (isChange(verb)) server.bePatient();
        const call: Call = { server, out, given, scope: scoped, found: verb.one ? await find(server) : {} };
        if (verb.run) return verb.run(call);
        if (verb.watch) return show(out, isWatched, () => look(call, verb, group.name(), opts));
        const { subject, value, human } = await look(call, verb, group.name(), opts);
        out.result(value, human);
        await verb.after?.(subject, call);
      },
      use,
    );
  });
}

function exampleText(examples: string | readonly string[], prefix: string): string {
  if (typeof examples === "string") return examples;
  const lines = examples.map((words) =>
    words.startsWith("$ ") ? `  ${words}` : `  $ ${["prism", prefix, words].filter((part) => part !== "").join(" ")}`,
  );
  return [lines.length === 1 ? "Example:" : "Examples:", ...lines].join("\n");
}

/** @returns the attributes of Commander by the names of the API */
function addFlags(command: Command, flags: Readonly<Record<string, Flag>>): Readonly<Record<string, string>> {
  const names = Object.entries(flags).map(([name, flag]) => {
    if (flag instanceof Option) command.addOption(flag);
    else command.option(...(flag as [string, string]));
    return [name, command.options.at(-1)?.attributeName() ?? name];
  });
  return Object.fromEntries(names);
}

function exclude(command: Command, attributes: Readonly<Record<string, string>>, name: string, other: string): void {
  const [first, second] = [name, other].map((each) =>
    command.options.find((option) => option.attributeName() === attributes[each]),
  );
  if (!first || !second) throw new TypeError(`${command.name()} has no flags ${name} and ${other}`);
  first.conflicts(second.attributeName());
}

async function findOne(
  server: ServerClient,
  ref: string,
  one: string,
  { find, list = "", names = [], line = "", searched }: CommandGroup,
  scope: Values,
): Promise<Values> {
  if (find) return (await find(server, ref, scope)) as Values;
  const things = (await listOf(server, list, scope, searched)) as (Values & { readonly id: string })[];
  return pick(things, ref, {
    one,
    namesOf: (thing) => names.map((name) => thing[name] as string | null),
    lineOf: (thing) => filled(line, thing),
  });
}

/** Finds by name, or a prefix of it or of the id, among the things that have one. @throws CommandError 6, 7 */
export function pickNamed<T extends { readonly id: string; readonly name: string }>(
  things: readonly T[],
  ref: string,
  one: string,
  line = "{id}  {name}",
): T {
  return pick(things, ref, { one, namesOf: ({ name }) => [name], lineOf: (thing) => filled(line, thing) });
}

/** Type of an operation's answer; operations of the operator are not described. */
type Answer<K extends string> = K extends keyof Answers ? Answers[K] : Values;
type Entry<K extends string> = Answer<K> extends { readonly data: readonly (infer T)[] } ? T : Values;

/** All entries of a list, at most `limit`; that of `values` is one of a page. */
export async function listOf<const K extends string>(
  server: ServerClient,
  id: K,
  values: Values,
  limit?: number,
): Promise<Entry<K>[]> {
  const operation = operationOf(id);
  const path = pathOf(operation, values);
  const inPath = (name: string): boolean => operation.path.includes(`{${name}}`);
  const query = Object.fromEntries(Object.entries(values).filter(([name]) => !inPath(name))) as Query;
  if (!operation.paged) return (await server.get<{ readonly data: Entry<K>[] }>(path, query)).data;
  const entries: Entry<K>[] = [];
  for await (const entry of server.list<Entry<K>>(path, query)) {
    entries.push(entry);
    if (entries.length === limit) break;
  }
  return entries;
}

/** Calls an operation: each value goes where the API takes it. @typeParam T of an answer that is not described */
export async function callOf<T = never, const K extends string = string>(
  server: ServerClient,
  id: K,
  values: Values,
  limitMs?: number,
): Promise<[T] extends [never] ? Answer<K> : T> {
  const operation = operationOf(id);
  const places = new Map(operation.members.map((member) => [member.name, member.in]));
  const others = operation.body ? "body" : "query";
  const at = (place: string): Values =>
    Object.fromEntries(Object.entries(values).filter(([name]) => (places.get(name) ?? others) === place));
  const { method } = operation;
  const head = {
    method,
    path: pathOf(operation, values),
    query: at("query"),
    headers: at("header") as Record<string, string>,
    ...(limitMs === undefined ? {} : { limitMs }),
  };
  try {
    return await server.request({ ...head, ...(operation.body ? { body: at("body") } : {}) });
  } catch (error) {
    throw namingUsers(error, [values["turns"] ?? values["users"] ?? []].flat(2));
  }
}

/** A refusal names a user as the command does, not by a place such as `users.1`, or `turns.1.0` of one user each. */
function namingUsers(error: unknown, users: readonly unknown[]): unknown {
  if (!(error instanceof ServerRefused && error.code === "RECIPIENT_NOT_FOUND")) return error;
  const named = (text: string): string =>
    text.replace(/^(?:users|turns)\.(\d+)(?:\.0)?(?=:|$)/, (place, at) =>
      printable(String(users[Number(at)] ?? place)),
    );
  const { status, code, message, details, retryAfterMs } = error;
  const placed = details.map(({ path, ...detail }) => (path === undefined ? detail : { ...detail, path: named(path) }));
  return new ServerRefused(status, code, named(message), placed, retryAfterMs);
}

function operationOf(id: string): Operation {
  const [method = "", path] = id.split(" ");
  if (path !== undefined) return ofOperator(id, method, path);
  const found = operations().get(id);
  if (!found) throw new TypeError(`there is no operation ${id}`);
  return found;
}

/** Routes of the operator are not described. */
function ofOperator(id: string, method: string, path: string): Operation {
  const members = [...path.matchAll(/\{(\w+)\}/g)].map(
    ([, name = ""]) => ({ name, in: "path", kind: "string" }) as const,
  );
  const body = method === "GET" || method === "DELETE" ? {} : { body: ["application/json"] };
  return { id, method, path, summary: "", members, ...body };
}

function isChange({ of, ask, changes }: Verb): boolean {
  return changes === true || ask !== undefined || (of !== undefined && operationOf(of).method !== "GET");
}

async function request(call: Call, verb: Verb): Promise<unknown> {
  const { server, given, found } = call;
  if (verb.of === undefined) return undefined;
  const values = verb.values ? await verb.values(given, call) : given;
  return callOf(server, verb.of, { ...idIn(verb, found), ...values }, verb.isLong ? SLICED_LIMIT_MS : undefined);
}

/** Below a thing of another kind, `values` of the verb gives both ids. */
function idIn({ of = "" }: Verb, { id }: Values): Values {
  return operationOf(of).path.includes("{id}") ? { id } : {};
}

interface Limited {
  readonly limit?: number;
}

/** The shown value of a verb, and its form. */
async function look(call: Call, verb: Verb, name: string, { limit }: Limited): Promise<Look & { subject: unknown }> {
  const isList = verb.columns !== undefined || verb.rows !== undefined;
  const subject = verb.get
    ? await verb.get(call)
    : isList
      ? await rowsOf(call, verb, limit)
      : ((await request(call, verb)) ?? call.found);
  const value = isList && !verb.json ? { [verb.as ?? name]: subject } : shownAs(subject, call, verb);
  return {
    subject,
    value,
    human: () => (isList ? listLines(subject as object[], call, verb, name) : linesOf(subject, call, verb)),
  };
}

function shownAs(subject: unknown, call: Call, { json }: Verb): unknown {
  return json ? json(subject, call) : subject;
}

function linesOf(subject: unknown, call: Call, { say = "", lines }: Verb): readonly string[] {
  return [lines?.(subject, call) ?? filled(say, subject)].flat();
}

async function rowsOf(call: Call, verb: Verb, limit: number | undefined): Promise<Values[]> {
  const { server, given, found } = call;
  const values = verb.values ? await verb.values(given, call) : given;
  const paged = limit === undefined ? values : { ...values, limit: Math.min(limit, 100) };
  return listOf(server, verb.of ?? "", { ...idIn(verb, found), ...paged }, limit ?? verb.most);
}

function listLines(rows: readonly object[], call: Call, verb: Verb, name: string): readonly string[] {
  const { columns = {}, none = `no ${verb.as ?? name}` } = verb;
  if (rows.length === 0) return [typeof none === "string" ? none : none(call.given)];
  return verb.rows?.(rows, call) ?? tableOf(columns, rows);
}

/** Rows below the names of their columns. */
export function tableOf(columns: Columns, rows: readonly object[]): string[] {
  const cells = Object.values(columns);
  return table(
    Object.keys(columns),
    rows.map((row) =>
      cells.map((each) =>
        typeof each !== "string" ? each(row as never) : each.includes("{") ? filled(each, row) : cell(row, each),
      ),
    ),
  );
}

/** The question is asked while no connection, and without a server no lock, is held. @throws CommandError 2 */
async function askAndDo(
  context: CommandContext,
  verb: Verb,
  find: (server: ServerClient) => Promise<Values>,
  given: Omit<Call, "server" | "found" | "out">,
  isYes: boolean,
): Promise<void> {
  const { out } = context;
  let found = isYes ? undefined : await withServer(context, find);
  if (found && !(await confirm(filled(verb.ask ?? "", found))))
    throw new CommandError(EXIT.usage, "nothing was deleted; --yes deletes without asking");
  const call = await withServer(context, async (server): Promise<Call> => {
    server.bePatient();
    found ??= await find(server);
    const done = { ...given, out, server, found };
    await request(done, verb);
    return done;
  });
  out.result(shownAs(call.found, call, verb), () => linesOf(call.found, call, verb));
  await verb.after?.(call.found, call);
}

/**
 * A value for people: `a.b` is a member, `a|b` the first that is not null, `a@` a time to the minute,
 * `a:34` at most so many characters, `a:id` the start of an id.
 */
export function cell(item: object, text: string): string | number | null {
  const [, paths = "", form = ""] = /^([^@:]*)(.*)$/.exec(text) ?? [];
  const value = paths
    .split("|")
    .map((path) => path.split(".").reduce<unknown>((from, name) => (from as Values | null | undefined)?.[name], item))
    .find((each) => each !== null && each !== undefined);
  if (form === "@") return shortTime((value as string | undefined) ?? null);
  if (value === undefined) return null;
  if (typeof value === "number") return value;
  const shown = Array.isArray(value)
    ? value.join(",")
    : typeof value === "boolean"
      ? value
        ? "yes"
        : "no"
      : String(value);
  if (form === ":id") return shown.slice(0, 13);
  return form === "" ? shown : cut(shown, Number(form.slice(1)));
}

/** Text in which `{…}` are {@link cell}s. */
export function filled(text: string, item: unknown): string {
  return text.replace(/\{([^}]+)\}/g, (_whole, each: string) => printable(String(cell(item as object, each) ?? "")));
}
