import type * as v from "valibot";
import { referredBy } from "../../../../../src/http/api/file-form.ts";
import { Random } from "../../../../helpers/chance.ts";

/** What chance decides about one object. */
export class Chance extends Random {
  is(percent: number): boolean {
    return this.integer(1, 100) <= percent;
  }

  one<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)] as T;
  }

  /** At most `most` different ones, in any order. */
  some<T>(values: readonly T[], least = 0, most = values.length): T[] {
    const left = [...values];
    const count = this.integer(Math.min(least, left.length), Math.min(most, left.length));
    return Array.from({ length: count }, () => left.splice(this.integer(0, left.length - 1), 1)[0] as T);
  }
}

/** The value of a member; undefined: it is left out. @param path such as `steps.0.interval` */
export type Choose = (chance: Chance, path: string) => unknown;

/** What the walk does not find in a schema. */
export interface Known {
  /** Members by their path without places in lists, by their kind and last word, or by that alone: `*.timezone`. */
  readonly members: Readonly<Record<string, Choose>>;
  /** Names of objects that may be named, by kind. */
  readonly names: (kind: string) => readonly string[];
}

interface Action {
  readonly kind?: string;
  readonly type?: string;
  readonly requirement?: unknown;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

type Node = v.GenericSchema & {
  readonly entries?: Readonly<Record<string, v.GenericSchema>>;
  readonly item?: v.GenericSchema;
  readonly value?: v.GenericSchema;
  readonly wrapped?: v.GenericSchema;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
  readonly pipe?: readonly (v.GenericSchema & Action)[];
};

/** Texts that YAML, Markdown or a shell could read as something else. */
const TEXTS = [
  ...["yes", "null", "1e3", "0x10", "~", "- a", "a: b", "# no comment", "{a}", "'", '"quoted"', "`code`", "a\nb"],
  ...[
    "Zoë ☃",
    "日本語",
    "<b>bold</b>",
    "@team",
    "$(id)",
    "%20",
    "a\\b",
    "1970-01-01",
    "true",
    "=1+1",
    "| pipe",
    "&ref",
  ],
];

/** A value that a schema takes, in the form of requests, with names in place of ids. */
export function drawn(schema: v.GenericSchema, chance: Chance, known: Known, path: string): unknown {
  const own = memberOf(known, path);
  if (own) return own(chance, path);
  const { wrapped, type } = schema as Node;
  if (wrapped) {
    if (type !== "nullable" && chance.is(50)) return undefined;
    if (type !== "optional" && chance.is(20)) return null;
    return drawn(wrapped, chance, known, path);
  }
  const kind = referredBy(schema);
  if (kind !== undefined) return chance.one(known.names(kind));
  return ofBare(schema as Node, [], chance, known, path);
}

function memberOf({ members }: Known, path: string): Choose | undefined {
  const words = path.split(".").filter((word) => !/^\d+$/.test(word));
  const last = words.at(-1);
  return [words.join("."), `${words[0]}.${last}`, `*.${last}`].map((key) => members[key]).find((each) => each);
}

function ofBare(node: Node, actions: readonly Action[], chance: Chance, known: Known, path: string): unknown {
  const { pipe, type, entries, item, options, literal } = node;
  if (pipe) {
    const [first, ...rest] = pipe as unknown as [Node, ...Action[]];
    return first.wrapped && rest.length === 0
      ? drawn(first, chance, known, path)
      : ofBare(first, [...rest, ...actions], chance, known, path);
  }
  const bound = (name: string) => actions.find((each) => each.type === name)?.requirement as number | undefined;
  if (node.wrapped) return drawn(node, chance, known, path);
  if (entries) return membersOf(entries, chance, known, path);
  if (type === "boolean") return chance.is(50);
  if (type === "literal") return literal;
  if (type === "picklist") return chance.one(options ?? []);
  if (type === "number") return numberOf(chance, bound("min_value") ?? 0, bound("max_value") ?? 1000, path);
  if (type === "array" && item) {
    const least = bound("min_length") ?? 0;
    const count = chance.integer(least, Math.min(bound("max_length") ?? 3, least + 2));
    const all = Array.from({ length: count }, (_, at) => drawn(item, chance, known, `${path}.${at}`));
    return all.filter((each, at) => all.findIndex((other) => JSON.stringify(other) === JSON.stringify(each)) === at);
  }
  if (type === "variant" || type === "union") return drawn(chance.one(options as Node[]), chance, known, path);
  const lengths = actions.find(({ metadata }) => metadata?.["maxLength"] !== undefined)?.metadata;
  const isPlain = !actions.some((each) => each.type === "regex");
  if (type === "string" && isPlain) {
    const least = (lengths?.["minLength"] as number | undefined) ?? bound("min_length") ?? 0;
    const most = (lengths?.["maxLength"] as number | undefined) ?? bound("max_length") ?? 100;
    const text = least === 0 && chance.is(10) ? "" : chance.one(TEXTS);
    return text.slice(0, most).padEnd(least, "x");
  }
  throw new TypeError(`${path}: name it among the members, as the walk knows no ${type} of it`);
}

function membersOf(
  entries: Readonly<Record<string, v.GenericSchema>>,
  chance: Chance,
  known: Known,
  path: string,
): Record<string, unknown> {
  const all = Object.entries(entries).map(([name, schema]) => [
    name,
    drawn(schema, chance, known, path === "" ? name : `${path}.${name}`),
  ]);
  return Object.fromEntries(all.filter(([, value]) => value !== undefined));
}

/** Durations are also odd numbers of milliseconds. */
function numberOf(chance: Chance, least: number, most: number, path: string): number {
  const isDuration = /(^|\.)ms$|Ms$/.test(path);
  if (!isDuration) return chance.integer(least, Math.min(most, least + 900));
  const units = [1, 1000, 60_000, 3_600_000, 86_400_000].filter((unit) => unit <= most);
  const size = chance.one(units);
  return Math.min(most, Math.max(least, chance.integer(1, 40) * size));
}
