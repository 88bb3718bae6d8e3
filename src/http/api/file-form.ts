import type * as v from "valibot";
import type { ErrorDetail } from "../../core/errors.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import { namedBy } from "./shapes.ts";

/*
 * Objects in configuration files have names in place of ids, and `15m` in place of milliseconds. Both forms follow
 * from the schema of requests: a whole number `xMs` is `x`, and what `refersTo` marks is a name.
 */

/** Members of schemas that this walk reads. */
export type FormNode = v.GenericSchema & {
  readonly entries?: Readonly<Record<string, v.GenericSchema>>;
  readonly item?: v.GenericSchema;
  readonly value?: v.GenericSchema;
  readonly wrapped?: v.GenericSchema;
  readonly key?: string;
  readonly options?: readonly v.GenericSchema[];
  readonly pipe?: readonly (v.GenericSchema & { readonly metadata?: Readonly<Record<string, unknown>> })[];
};

/** What a name means, such as `Duty`, or `{ name: "Duty", project: "ops" }`. */
export interface NameOf {
  readonly name: string;
  readonly project?: string;
}

/** Names of other objects. */
export interface Names {
  /** @returns undefined after it has noted a problem */
  idOf(kind: string, of: NameOf, path: string): string | undefined;
  /** @returns undefined for one that has no name: its id stays */
  nameOf(kind: string, id: string): NameOf | undefined;
  /** A name that requests have, too. */
  named?(kind: string, name: string, path: string): void;
}

const UNITS = [
  ["w", 604_800_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;
const DURATION = /^(\d+(w|d|h|ms|m|s))+$/;
/** {@link durationOf} reads such values. */
export const DURATION_SCHEMA = { anyOf: [{ type: "string", pattern: DURATION.source }, { const: 0 }] } as const;
export const DURATION_TEXT = "must be a duration such as 90s, 15m, 4h, 7d or 1h30m";

/** `15m`, with the largest unit that divides it. */
export function durationText(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms !== 0 && ms % size === 0) ?? ["s", 1000];
  return `${ms / size}${unit}`;
}

/** Milliseconds of `1h30m`; null: it is none. */
export function durationOf(text: unknown): number | null {
  if (text === 0) return 0;
  if (typeof text !== "string" || !DURATION.test(text)) return null;
  const parts = [...text.matchAll(/(\d+)(w|d|h|ms|m|s)/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS.find(([u]) => u === unit)?.[1] ?? 0), 0);
}

/** The kind whose objects a leaf names; undefined: it names none. */
export function referredBy(schema: v.GenericSchema | undefined): string | undefined {
  const { pipe, wrapped } = (schema ?? {}) as FormNode;
  const own = pipe?.find(({ metadata }) => metadata?.["x-refers-to"] !== undefined)?.metadata?.["x-refers-to"];
  if (typeof own === "string") return own;
  const below = wrapped ?? pipe?.[0];
  return below && below !== schema ? referredBy(below) : undefined;
}

/** Without `optional`, `nullable` and pipes. */
export function bare(schema: v.GenericSchema): FormNode {
  const { wrapped, pipe } = schema as FormNode;
  const below = wrapped ?? pipe?.[0];
  return below && below !== schema ? bare(below) : (schema as FormNode);
}

/** What files call a member of requests. */
export function fileMember(name: string, schema: v.GenericSchema): string {
  if (isDuration(name, schema)) return name === "ms" ? "for" : name.slice(0, -2);
  return name === "id" && referredBy(schema) !== undefined ? "name" : name;
}

export function isDuration(name: string, schema: v.GenericSchema): boolean {
  return /(^ms|Ms)$/.test(name) && bare(schema).type === "number";
}

/** The form of requests has its milliseconds, requests and files have text. */
function isInstant(schema: v.GenericSchema): boolean {
  const { pipe, wrapped } = schema as FormNode;
  const below = wrapped ?? pipe?.[0];
  if (pipe?.some(({ metadata }) => metadata?.["format"] === "date-time")) return true;
  return below !== undefined && below !== schema && isInstant(below);
}

/** Whether items of `routes` have the shape of the object that has them. */
export function isOwnShape(schema: v.GenericSchema): boolean {
  const { pipe, wrapped } = schema as FormNode;
  if (pipe?.some(({ metadata }) => metadata?.["x-same-shape"] === true)) return true;
  return wrapped !== undefined && isOwnShape(wrapped);
}

type Members = Record<string, unknown>;

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The shape of `value` among several: by the member that tells them apart, else the first of its kind. */
function shapeFor(node: FormNode, value: unknown): FormNode {
  if (!node.options) return node;
  const { key } = node;
  const shapes = node.options.map(bare);
  if (key !== undefined && isObject(value))
    return (
      shapes.find(
        ({ entries }) => (bare(entries?.[key] as v.GenericSchema) as { literal?: unknown }).literal === value[key],
      ) ?? (shapes[0] as FormNode)
    );
  const fits = shapes.find(({ type, entries }) =>
    Array.isArray(value) ? type === "array" : isObject(value) === (entries !== undefined),
  );
  return fits ? shapeFor(fits, value) : (shapes[0] as FormNode);
}

const at = (path: string, name: string | number) => (path === "" ? String(name) : `${path}.${name}`);

/**
 * An object of a file in the form of requests. What is not readable stays as it is, with a problem, so that the
 * schema says the rest.
 */
export function fromFile(
  schema: v.GenericSchema,
  value: unknown,
  names: Names,
  problems: ErrorDetail[],
  path = "",
): unknown {
  const node = shapeFor(bare(schema), value);
  if (node.entries && isObject(value)) return membersFromFile(node, value, names, problems, path);
  const kind = referredBy(schema);
  if (kind !== undefined && (typeof value === "string" || isObject(value))) {
    const of = typeof value === "string" ? { name: value } : (value as unknown as NameOf);
    return names.idOf(kind, of, path) ?? value;
  }
  const named = names.named && typeof value === "string" ? namedBy(schema) : undefined;
  if (named !== undefined) names.named?.(named, value as string, path);
  if (Array.isArray(value) && node.item)
    return value.map((each, index) => fromFile(node.item as v.GenericSchema, each, names, problems, at(path, index)));
  if (node.type === "record" && isObject(value) && node.value)
    return mapped(value, (each, name) =>
      fromFile(node.value as v.GenericSchema, each, names, problems, at(path, name)),
    );
  return value;
}

function membersFromFile(node: FormNode, value: Members, names: Names, problems: ErrorDetail[], path: string): Members {
  const entries = Object.entries(node.entries ?? {});
  const found: Members = {};
  const named = entries.find(([name, schema]) => name === "id" && referredBy(schema) !== undefined);
  for (const [member, given] of Object.entries(value)) {
    const own = at(path, member);
    if (named && member === "project") continue;
    const [name, schema] = entries.find(([name, schema]) => fileMember(name, schema) === member) ?? [];
    if (name === undefined || schema === undefined) {
      const isRequestForm = entries.some(([each, form]) => each === member && fileMember(each, form) !== member);
      if (!isRequestForm) found[member] = given;
      else
        problems.push({
          path: own,
          code: "UNKNOWN_MEMBER",
          message: `is ${fileMember(member, node.entries?.[member] as v.GenericSchema)} in files`,
        });
    } else if (isDuration(name, schema) && given !== null) {
      const ms = durationOf(given);
      if (ms === null) problems.push({ path: own, code: "VALUE", message: DURATION_TEXT });
      found[name] = ms ?? 0;
    } else if (name === "id" && named) {
      const project = value["project"];
      const of = { name: String(given), ...(typeof project === "string" && { project }) };
      found[name] = names.idOf(referredBy(schema) ?? "", of, own) ?? given;
    } else if (isOwnShape(schema) && Array.isArray(given)) {
      found[name] = given.map((each, index) =>
        isObject(each) ? membersFromFile(node, each, names, problems, at(own, index)) : each,
      );
    } else found[name] = fromFile(schema, given, names, problems, own);
  }
  return found;
}

/** An object of the form of requests as a file has it. */
export function toFile(schema: v.GenericSchema, value: unknown, names: Names): unknown {
  if (value === null || value === undefined) return value;
  if (typeof value === "number" && isInstant(schema)) return toRfc3339(value);
  const node = shapeFor(bare(schema), value);
  if (node.entries && isObject(value)) return membersToFile(node, value, names);
  const kind = referredBy(schema);
  if (kind !== undefined && typeof value === "string") {
    const found = names.nameOf(kind, value);
    return found === undefined ? value : found.project === undefined ? found.name : found;
  }
  if (Array.isArray(value) && node.item) return value.map((each) => toFile(node.item as v.GenericSchema, each, names));
  if (node.type === "record" && isObject(value) && node.value)
    return mapped(value, (each) => toFile(node.value as v.GenericSchema, each, names));
  return value;
}

function membersToFile(node: FormNode, value: Members, names: Names): Members {
  const found: Members = {};
  for (const [name, given] of Object.entries(value)) {
    const schema = node.entries?.[name];
    if (given === undefined) continue;
    if (!schema) found[name] = given;
    else if (isDuration(name, schema))
      found[fileMember(name, schema)] = given === null ? null : durationText(Number(given));
    else if (name === "id" && referredBy(schema) !== undefined)
      Object.assign(found, names.nameOf(referredBy(schema) ?? "", String(given)) ?? { name: given });
    else if (isOwnShape(schema) && Array.isArray(given))
      found[name] = given.map((each) => (isObject(each) ? membersToFile(node, each, names) : each));
    else found[name] = toFile(schema, given, names);
  }
  return found;
}

function mapped(value: Members, convert: (each: unknown, name: string) => unknown): Members {
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, convert(each, name)]));
}

/** The path of a problem with the names of files: `steps.2.ms` is `steps.2.for`. */
export function filePath(path: string): string {
  const names = path
    .split(".")
    .map((name) => (name === "ms" ? "for" : name === "id" ? "name" : name.replace(/(?<=.)Ms$/, "")));
  return names.join(".");
}
