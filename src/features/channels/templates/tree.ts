import type { Tree } from "../preset.ts";
import {
  BadTemplate,
  compile,
  type Fill,
  readPath,
  render,
  splitOutside,
  type TemplateScope,
  type TextLimit,
  textOf,
  valueAt,
} from "./template.ts";

/** A tree after filling: plain JSON. */
export type Filled = string | number | boolean | null | Filled[] | { [member: string]: Filled };

/** A value that is left out. */
const NOTHING = Symbol("nothing");
/** Values that take the position of several in a list. */
class Spread {
  readonly items: readonly Filled[];

  constructor(items: readonly Filled[]) {
    this.items = items;
  }
}

type Result = Filled | typeof NOTHING | Spread;

const MAX_EACH = 25;

export interface FillOptions {
  /** The longest text at a path of the filled tree, such as `embeds.0.title`. */
  readonly limitAt?: (path: string) => TextLimit | undefined;
  /** Called with the path of each text that was shortened. */
  readonly onCut?: (path: string) => void;
  /** The tree that replaces `@send`. */
  readonly send?: Tree | undefined;
}

/** Fills the strings of a tree and resolves its `$` members. @returns undefined for nothing */
export function fillTree(tree: Tree, scope: TemplateScope, options: FillOptions = {}): Filled | undefined {
  const result = new Filling(options).of(tree, scope, "");
  if (result === NOTHING) return undefined;
  return result instanceof Spread ? [...result.items] : result;
}

class Filling {
  readonly #options: FillOptions;

  constructor(options: FillOptions) {
    this.#options = options;
  }

  of(tree: Tree, scope: TemplateScope, path: string): Result {
    if (typeof tree === "string") return tree === "@send" ? this.#send(scope, path) : this.#text(tree, scope, path);
    if (tree === null || typeof tree !== "object") return tree;
    if (Array.isArray(tree)) return this.#list(tree as readonly Tree[], scope, path);
    return this.#object(tree as Members, scope, path);
  }

  #text(source: string, scope: TemplateScope, path: string): string {
    const limit = this.#options.limitAt?.(path);
    const { text, isCut } = render(compile(source), scope, limit ? { limit } : {});
    if (isCut) this.#options.onCut?.(path);
    return text;
  }

  #send(scope: TemplateScope, path: string): Result {
    const { send } = this.#options;
    return send === undefined || send === "@send" ? NOTHING : this.of(send, scope, path);
  }

  #list(items: readonly Tree[], scope: TemplateScope, path: string): Filled[] {
    const list: Filled[] = [];
    for (const item of items) {
      const result = this.of(item, scope, join(path, list.length));
      if (result instanceof Spread) list.push(...result.items);
      else if (result !== NOTHING) list.push(result);
    }
    return list;
  }

  #object(members: Members, scope: TemplateScope, path: string): Result {
    if (typeof members.$map === "string") return this.#map(members, members.$map, scope, path);
    if (typeof members.$if === "string") return this.#if(members, members.$if, scope, path);
    if (typeof members.$each === "string") return this.#each(members, members.$each, scope, path);
    if (typeof members.$value === "string") return jsonOf(valueAt(scope, readPath(members.$value)));
    if (typeof members.$number === "string") return numberAt(scope, readPath(members.$number));
    if (members.$json !== undefined) {
      const inner = this.of(members.$json, scope, path);
      return inner === NOTHING || inner instanceof Spread ? NOTHING : JSON.stringify(inner);
    }
    return this.#members(members, scope, path);
  }

  #members(members: Members, scope: TemplateScope, path: string): Filled {
    const object: Record<string, Filled> = {};
    if (members.$extend !== undefined) {
      const base = this.of(members.$extend, scope, path);
      if (isObject(base)) Object.assign(object, base);
    }
    for (const [written, value] of Object.entries(members)) {
      if (/^\$(?!\$)/.test(written)) continue;
      // `$$name` is a member `$name` of the service.
      const name = written.replace(/^\$\$/, "$").replace(/\?$/, "");
      const result = this.of(value, scope, join(path, name));
      if (result === NOTHING || (written.endsWith("?") && isEmpty(result))) continue;
      object[name] = result instanceof Spread ? [...result.items] : result;
    }
    return object;
  }

  #map(members: Members, source: string, scope: TemplateScope, path: string): Result {
    const key = textOf(valueAt(scope, readPath(source)));
    const chosen = !key.startsWith("$") && Object.hasOwn(members, key) ? members[key] : members.$else;
    return chosen === undefined ? NOTHING : this.of(chosen, scope, path);
  }

  #if(members: Members, source: string, scope: TemplateScope, path: string): Result {
    const holds = readCondition(source)(scope);
    if (members.$then === undefined && members.$else === undefined) {
      if (!holds) return NOTHING;
      const { $if: _, ...rest } = members;
      return this.of(rest, scope, path);
    }
    const chosen = holds ? members.$then : members.$else;
    return chosen === undefined ? NOTHING : this.of(chosen, scope, path);
  }

  #each(members: Members, source: string, scope: TemplateScope, path: string): Result {
    const items = valueAt(scope, readPath(source));
    const inner = members.$do;
    if (!Array.isArray(items) || inner === undefined) return new Spread([]);
    const most = typeof members.$max === "number" ? Math.min(members.$max, MAX_EACH) : MAX_EACH;
    const start = Number(/(?:^|\.)(\d+)$/.exec(path)?.[1] ?? 0);
    const parent = /(?:^|\.)\d+$/.test(path) ? path.replace(/(?:^|\.)\d+$/, "") : path;
    const list: Filled[] = [];
    for (const [index, item] of items.slice(0, most).entries()) {
      const result = this.of(inner, { ...scope, item, index }, join(parent, start + list.length));
      if (result instanceof Spread) list.push(...result.items);
      else if (result !== NOTHING) list.push(result);
    }
    return new Spread(list);
  }
}

type Members = { readonly [member: string]: Tree };

function join(path: string, step: string | number): string {
  return path === "" ? String(step) : `${path}.${step}`;
}

function isObject(value: Result): value is { [member: string]: Filled } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Spread);
}

function isEmpty(value: Filled | Spread): boolean {
  if (value instanceof Spread) return value.items.length === 0;
  if (value === "" || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function numberAt(scope: TemplateScope, path: readonly string[]): Result {
  const text = textOf(valueAt(scope, path));
  const number = Number(text);
  return text === "" || !Number.isFinite(number) ? NOTHING : number;
}

function jsonOf(value: unknown): Result {
  return value === undefined ? NOTHING : (JSON.parse(JSON.stringify(value)) as Filled);
}

type Condition = (scope: TemplateScope) => boolean;

/** `path`, `!path`, `path == 'x'` and `path != 'x'`, joined by `&&`. @throws BadTemplate */
export function readCondition(source: string): Condition {
  const terms = splitOutside(source, "&&").map(readTerm);
  return (scope) => terms.every((term) => term(scope));
}

function readTerm(source: string): Condition {
  const compared = /^(.+?)\s*(==|!=)\s*(?:'([^']*)'|"([^"]*)"|(\d+|true|false))$/.exec(source);
  if (compared) {
    const [, left = "", operator, single, double, bare] = compared;
    const path = readPath(left);
    const right = single ?? double ?? bare ?? "";
    return (scope) => (textOf(valueAt(scope, path)) === right) === (operator === "==");
  }
  if (source.startsWith("!")) {
    const path = readPath(source.slice(1));
    return (scope) => !isPresent(valueAt(scope, path));
  }
  const path = readPath(source);
  return (scope) => isPresent(valueAt(scope, path));
}

export function isPresent(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value !== undefined && value !== null && value !== "" && value !== false;
}

/**
 * Called with a path that a template reads. @param isWhole the value stays readable in the result, so
 * that it can be masked by value: it is not taken apart, changed or compared
 */
export type OnPath = (path: readonly string[], isWhole: boolean) => void;

/** Reads all templates and paths of a tree. @throws BadTemplate */
export function checkTree(tree: Tree, onPath: OnPath): void {
  if (typeof tree === "string") {
    if (tree !== "@send") checkText(tree, onPath);
  } else if (Array.isArray(tree)) {
    for (const each of tree as readonly Tree[]) checkTree(each, onPath);
  } else if (typeof tree === "object" && tree !== null) {
    for (const [name, value] of Object.entries(tree)) checkMember(name, value, onPath);
  }
}

function checkMember(name: string, value: Tree, onPath: OnPath): void {
  if (PATHS.has(name)) onPath(readPath(String(value)), name === "$value");
  else if (name === "$if") checkCondition(String(value), onPath);
  else if (/^\$(?!\$)/.test(name) && !KNOWN.has(name)) throw new BadTemplate(`there is no ${name}`);
  else checkTree(value, onPath);
}

/** Whether a value is present may depend on a secret, a comparison may not. */
function checkCondition(source: string, onPath: OnPath): void {
  readCondition(source);
  for (const term of splitOutside(source, "&&")) {
    const [, compared] = /^(.+?)\s*[=!]=/.exec(term) ?? [];
    onPath(readPath(compared ?? term.replace(/^!/, "")), compared === undefined);
  }
}

/** Members that hold a path. */
const PATHS = new Set(["$map", "$each", "$value", "$number"]);
const KNOWN = new Set(["$else", "$then", "$do", "$max", "$json", "$extend"]);

export function checkText(source: string, onPath: OnPath): void {
  for (const part of compile(source)) {
    if (typeof part === "string") continue;
    onPath(part.path, keepsWhole(part));
    for (const { argument } of [...part.filters, ...part.escapes])
      if (typeof argument !== "string") onPath(argument.path, false);
  }
}

/** Filters that add to a value. */
const ADDING = new Set(["raw", "default", "prefix", "suffix"]);
/** Filters after which a masked text still finds the value, if there is no other one. */
const ENCODING = new Set(["json", "url"]);

function keepsWhole({ filters, escapes }: Fill): boolean {
  const names = [...filters, ...escapes].map(({ name }) => name).filter((name) => name !== "raw");
  return names.every((name) => ADDING.has(name)) || (names.length === 1 && ENCODING.has(names[0] ?? ""));
}
