import { plainName } from "../../../../core/text/describe-body.ts";
import { LongInteger } from "../../../../core/text/json-text.ts";
import { stateOf } from "../../../../core/text/words.ts";
import {
  FILTERS,
  pathText,
  readTemplate,
  type TemplateFilter,
  type TemplatePlace,
  throughFilters,
} from "../../../rules/index.ts";

type Status = "firing" | "resolved" | "acknowledged" | "succeeded" | "event";

/**
 * How the requests of one sender are known and read: the next sender is a row. Texts are templates:
 * `{{ check.name, check.id }}` is the first of these paths with a text or number. A text of which a
 * placeholder has no value is left out, and the one after ` || ` takes its place. In paths `0` is an
 * element, `*` all elements, `['name=text']` those with such a member, and `$names` after these their
 * names. Names are found without case and separators, too.
 */
export interface SenderRow {
  /** Start of the event's type. */
  readonly name: string;
  /** What a body must have, each: `path|path` one of them, `path=text|text` such a text, `!path` not that. */
  readonly when: readonly string[];
  /** End of the event's type. */
  readonly kind?: string;
  /** Parts, joined by `: `. */
  readonly title: readonly string[];
  /** Lines. */
  readonly text?: readonly string[];
  /** The sender's word or number for how bad it is. */
  readonly level?: string;
  /** Levels by the sender's words in plain form; `*` any other, or none; `>=7` numbers from 7 on, largest first. */
  readonly levels?: Readonly<Record<string, string>>;
  /** The level of the sender is that of an end, too; else an end is information. */
  readonly keepsLevel?: true;
  /** Parts, joined by `/`: what the sender calls the same in all states. */
  readonly key?: readonly string[];
  /** The sender's word for the state; without it, requests are events. */
  readonly state?: string;
  /** Statuses by the sender's words in plain form, before the usual ones; `*` any other. */
  readonly states?: Readonly<Record<string, Status>>;
  readonly link?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * What is read of a request of a sender that is known by its members: the values of `parsed` in the
 * mapping of `generic`. A missing member leaves the mapping to look for its usual names.
 */
export interface KnownRequest {
  readonly type: string;
  readonly title: string | undefined;
  readonly message: string | undefined;
  readonly level: string | undefined;
  readonly key: string | undefined;
  readonly status: Status;
  readonly link: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** Reads a request by the first row that fits; null if none does. */
export function readByRows(rows: readonly SenderRow[], body: object): KnownRequest | null {
  const row = rowsFor(rows, body).find(({ when }) => fits(body, when));
  return row === undefined ? null : readBy(row, body);
}

/** By the first member that each row needs: a request has few of them, and there are many rows. */
function rowsFor(rows: readonly SenderRow[], body: object): readonly SenderRow[] {
  let index = indexes.get(rows);
  if (index === undefined) {
    index = indexOf(rows.map(({ when }) => when));
    indexes.set(rows, index);
  }
  const found = new Set(index.get(ANY_NAME));
  for (const name of namesOf(body).keys()) for (const at of index.get(name) ?? []) found.add(at);
  return [...found].sort((one, other) => one - other).flatMap((at) => rows[at] ?? []);
}

/** Stands for conditions that name no member. */
export const ANY_NAME = "*";
const indexes = new WeakMap<readonly SenderRow[], Index>();

type Index = ReadonlyMap<string, readonly number[]>;

/**
 * Places of lists of conditions by the plain names of which a body must have one.
 * @param depth of those names in the paths: after one step, names are those of `body.name` and `headers.name`
 */
export function indexOf(lists: readonly (readonly string[])[], depth = 0): Index {
  const index = new Map<string, number[]>();
  for (const [at, when] of lists.entries()) {
    const [first] = conditionsOf(when);
    const names = first?.isAbsent === false ? first.paths.map((path) => stepsOf(path).slice(0, depth + 1)) : [];
    const isAny = names.length === 0 || names.some((all) => all.length <= depth || all.some(({ isMany }) => isMany));
    for (const name of new Set(isAny ? [ANY_NAME] : names.map((all) => all.map(({ plain }) => plain).join("."))))
      index.set(name, [...(index.get(name) ?? []), at]);
  }
  return index;
}

/** The paths of a placeholder as a condition. */
export function anyOf(paths: string): string {
  return paths.replaceAll(", ", "|");
}

/** Whether a body has all of this. */
export function fits(body: unknown, when: readonly string[]): boolean {
  return conditionsOf(when).every(({ isAbsent, paths, words }) => {
    if (words === null) return paths.some((path) => has(body, path)) !== isAbsent;
    const found = firstText(body, paths);
    return found !== undefined && words.includes(plainName(found));
  });
}

interface Condition {
  readonly isAbsent: boolean;
  readonly paths: readonly string[];
  /** Texts in plain form; null: any value. */
  readonly words: readonly string[] | null;
}

/** Read once: each request is compared with all rows. */
const conditions = new WeakMap<readonly string[], readonly Condition[]>();

function conditionsOf(when: readonly string[]): readonly Condition[] {
  let all = conditions.get(when);
  if (all === undefined) {
    all = when.map((each) => {
      const isAbsent = each.startsWith("!");
      const [paths = "", words] = (isAbsent ? each.slice(1) : each).split("=");
      return { isAbsent, paths: paths.split("|"), words: words?.split("|") ?? null };
    });
    conditions.set(when, all);
  }
  return all;
}

function has(body: unknown, path: string): boolean {
  const found = at(body, path);
  return found !== undefined && found !== null;
}

function readBy(row: SenderRow, body: unknown): KnownRequest {
  const text = (template: string | undefined) => (template === undefined ? undefined : filled(template, body));
  const joined = (parts: readonly string[] | undefined, separator: string) =>
    (parts ?? []).flatMap((part) => filled(part, body) ?? []).join(separator) || undefined;
  const word = text(row.state);
  const status = statusOf(row, word);
  const kind = text(row.kind);
  const level = levelOf(row, text(row.level)) || undefined;
  return {
    type: kind === undefined ? row.name : `${row.name}.${words(kind).replaceAll(" ", "-")}`,
    title: joined(row.title, ": "),
    message: joined(row.text, "\n"),
    level: isEnd(status) && row.keepsLevel !== true ? "info" : (level ?? (status === "firing" ? "error" : undefined)),
    key: joined(row.key, "/"),
    status,
    link: text(row.link),
    labels: Object.fromEntries(
      Object.entries(row.labels ?? {}).flatMap(([name, template]) => {
        const value = text(template);
        return value === undefined ? [] : [[name, value]];
      }),
    ),
  };
}

function isEnd(status: Status): boolean {
  return status === "resolved" || status === "succeeded";
}

function statusOf({ state, states = {} }: SenderRow, word: string | undefined): Status {
  const known = plainName(word ?? "");
  if (Object.hasOwn(states, known)) return states[known] ?? "event";
  return (state === undefined || word === undefined ? undefined : stateOf(word)) ?? states["*"] ?? "event";
}

/** Without `levels` the usual words are understood by the mapping. */
function levelOf({ levels }: SenderRow, word: string | undefined): string | undefined {
  if (levels === undefined) return word;
  const known = plainName(word ?? "");
  if (Object.hasOwn(levels, known)) return levels[known];
  const number = Number(word?.trim() || Number.NaN);
  const from = Object.keys(levels).find((each) => each.startsWith(">=") && number >= Number(each.slice(2)));
  return from === undefined ? (levels["*"] ?? word) : levels[from];
}

/** `onEpisodeFileDelete`, `repo_push` and `IssueCreated` as words in lower case. */
function words(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_.:-]+/g, " ")
    .toLowerCase();
}

const OF_TEXTS: Readonly<Record<string, (text: string) => string>> = {
  words,
  capital: (text) => capital(words(text)),
  start: (text) => text.split(/[\r\n]/, 1)[0] ?? "",
  /** What follows the first colon. */
  rest: (text) => text.slice(text.indexOf(":") + 1),
  pair: (text) => text.padStart(2, "0"),
  branch: (text) => text.replace(/^refs\/(?:heads|tags)\//, ""),
  event: (text) => text.replace(/^jira:/, ""),
  /** `create` as `created`, `add note` as `added note`. */
  past: (text) => text.replace(/^\w+/, (verb) => `${verb.replace(/ed?$/, "")}ed`),
  /** Nothing of a word that says nothing. */
  meaningful: (text) => (/^(?:running|unchanged|unknown|host|none|<?n\/?a>?)$/i.test(text.trim()) ? "" : text),
  /** What follows the first dot: `database corrupted` of `admin.database.corrupted`. */
  within: (text) => words(text.slice(text.indexOf(".") + 1)),
  /** Without the time and the priority that Falco puts first. */
  falco: (text) => text.replace(/^[\dTZ:.+-]+:\s+[A-Z][a-z]+\s+/, ""),
  /** The part before the path of an API. */
  site: (text) => text.split("/rest/", 1)[0] ?? "",
  /** The last part of `ALERT_CRITICALITY_LEVEL_CRITICAL`. */
  last: (text) => text.split(/[_:./-]/).at(-1) ?? "",
};

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

type Paths = readonly string[];

const PLACE: TemplatePlace<Paths> = {
  filters: { ...FILTERS, ...Object.fromEntries(Object.entries(OF_TEXTS).map(([name, of]) => [name, filterOf(of)])) },
  most: { placeholders: 16, filters: 4 },
  path(tokens, index) {
    const { text, next } = pathText(tokens, index);
    return { path: text.split(", "), next };
  },
};

/** An empty text is no value. */
function filterOf(of: (text: string) => string): TemplateFilter {
  return { apply: (value) => (typeof value === "string" ? of(value) || null : null) };
}

type RowTemplate = ReturnType<typeof readTemplate<Paths>>;

/** Alternatives by text. All texts are of rows and presets, not of requests. */
const templates = new Map<string, readonly RowTemplate[]>();

/** @returns undefined if a placeholder of each alternative has no value */
function filled(source: string, body: unknown): string | undefined {
  let all = templates.get(source);
  if (all === undefined) {
    all = source.split(" || ").map((each) => readTemplate(each, PLACE));
    templates.set(source, all);
  }
  for (const each of all) {
    const text = filledOne(each, body);
    if (text !== undefined) return text;
  }
  return undefined;
}

function filledOne(template: RowTemplate, body: unknown): string | undefined {
  let text = "";
  for (const part of template) {
    const found = typeof part === "string" ? part : throughFilters(firstText(body, part.path) ?? null, part.calls);
    if (found === null) return undefined;
    text += String(found);
  }
  return text.trim() === "" ? undefined : text.trim();
}

function firstText(body: unknown, paths: Paths): string | undefined {
  for (const path of paths) {
    const found = scalarOf(at(body, path));
    if (found !== undefined) return found;
  }
  return undefined;
}

const MAX_JOINED = 5;

/** A text or a number; of lists and objects of them the first ones; empty texts are none. */
function scalarOf(value: unknown, depth = 0): string | undefined {
  if (typeof value === "number" || value instanceof LongInteger) return String(value);
  if (typeof value === "string") return value.trim() === "" ? undefined : value;
  if (typeof value !== "object" || value === null || depth > 1) return undefined;
  const isList = Array.isArray(value);
  const parts = Object.entries(value)
    .slice(0, MAX_JOINED)
    .flatMap(([name, each]) => {
      const text = scalarOf(each, depth + 1);
      return text === undefined ? [] : [isList ? text : `${name}: ${text}`];
    });
  return parts.length === 0 ? undefined : parts.join(", ");
}

interface Step {
  readonly name: string;
  readonly plain: string;
  /** `*` or `['name=text']`: several values. */
  readonly isMany: boolean;
  /** The path after this step. */
  readonly rest: string;
}

/** By path. All paths are of rows and presets, not of requests. */
const steps = new Map<string, readonly Step[]>();

function stepsOf(path: string): readonly Step[] {
  let all = steps.get(path);
  if (all === undefined) {
    const names = path.split(".");
    all = names.map((name, i) => ({
      name,
      plain: plainName(name),
      isMany: name === "*" || name.startsWith("["),
      rest: names.slice(i + 1).join("."),
    }));
    steps.set(path, all);
  }
  return all;
}

/** The value at a path; undefined without one. */
function at(value: unknown, path: string): unknown {
  let found = value;
  for (const step of stepsOf(path)) {
    if (typeof found !== "object" || found === null) return undefined;
    if (step.isMany) {
      const members = Object.entries(found).filter(([, one]) => step.name === "*" || isSo(one, step.name));
      if (step.rest === "$names") return members.map(([name]) => name);
      const each = members.map(([, one]) => one);
      return step.rest === "" ? each : each.slice(0, MAX_JOINED).map((one) => at(one, step.rest));
    }
    found = member(found as Readonly<Record<string, unknown>>, step);
  }
  return found;
}

/** `['status=error']` */
function isSo(value: unknown, step: string): boolean {
  const [name = "", wanted = ""] = step.slice(2, -2).split("=");
  const found = at(value, name);
  return String(typeof found === "boolean" ? found : scalarOf(found)).toLowerCase() === wanted;
}

const MAX_NAMES = 500;
const plainNames = new WeakMap<object, ReadonlyMap<string, string>>();

function member(object: Readonly<Record<string, unknown>>, { name, plain }: Step): unknown {
  if (Object.hasOwn(object, name)) return object[name];
  if (Array.isArray(object)) return undefined;
  const own = namesOf(object).get(plain);
  return own === undefined ? undefined : object[own];
}

/** The names of an object's members by their plain forms. */
export function namesOf(object: object): ReadonlyMap<string, string> {
  let names = plainNames.get(object);
  if (names === undefined) {
    const made = new Map<string, string>();
    for (const each of Object.keys(object).slice(0, MAX_NAMES)) made.set(plainName(each), each);
    plainNames.set(object, made);
    names = made;
  }
  return names;
}
