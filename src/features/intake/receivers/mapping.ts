import { currentCaller } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { startOf } from "../../../core/text/clean-text.ts";
import { SURE_BYTES } from "../../../http/limits/work-budget.ts";
import {
  type CompiledText,
  compileTest,
  compileText,
  STEPS_PER_CHARACTER,
  STEPS_PER_INSTRUCTION,
  valuesOf,
  withinBudget,
} from "../../rules/index.ts";
import { checkedItem, type MappedItem, type ReceiverOutput, textOf } from "./mapped-item.ts";
import type { Mapping } from "./preset.ts";
import { TooManyMembers } from "./read-request.ts";

/** Names that every mapping reads. */
const NAMES = [
  ...["body", "text", "headers", "query", "form", "files", "method", "item", "receiver", "parsed", "parts"],
] as const;

/** Input of a mapping. */
export type MappingInput = Readonly<Record<Exclude<(typeof NAMES)[number], "item" | "parts">, unknown>> & {
  /** Absent: none. */
  readonly parts?: unknown;
};

const FIELDS = [
  ...["type", "level", "title", "message", "key", "status", "time", "startsAt", "endsAt", "link", "source"],
] as const;
type Field = (typeof FIELDS)[number];

/** Elements of one request. */
const MAX_ITEMS = 1000;

/** The members of a mapping, or of one of its cases. */
interface Fields {
  readonly output: ReceiverOutput | undefined;
  readonly texts: Readonly<Partial<Record<Field, CompiledText>>>;
  readonly labels: readonly (readonly [string, CompiledText])[] | undefined;
  readonly annotations: readonly (readonly [string, CompiledText])[] | undefined;
  readonly payload: CompiledText | undefined;
}

interface Case extends Fields {
  readonly when: CompiledText;
  readonly skip: boolean;
}

export interface CompiledMapping extends Fields {
  readonly names: readonly (readonly [string, CompiledText])[];
  /** Names of `let` that are JSON of a text, with that text. */
  readonly json: readonly { readonly name: string; readonly source: string; readonly text: CompiledText }[];
  readonly split: CompiledText | undefined;
  readonly when: CompiledText | undefined;
  readonly cases: readonly Case[];
}

const MAX_GIVEN_CHARACTERS = 131_072;
const MAX_GIVEN_PATTERNS = 16_384;

/** {@link compileMapping} of a request, at its cost. @throws VALIDATION_FAILED if it is too large, WORK_LIMITED */
export function compileGiven(mapping: Mapping): CompiledMapping {
  const { length } = JSON.stringify(mapping);
  const caller = currentCaller();
  if (length > MAX_GIVEN_CHARACTERS) throw tooLarge(`must have at most ${MAX_GIVEN_CHARACTERS} characters`);
  const work = { steps: STEPS_PER_CHARACTER * length };
  if (length > SURE_BYTES) caller.pay?.(work);
  else caller.charge?.(work);
  let total = 0;
  return compileMapping(mapping, (size) => {
    caller.charge?.({ steps: STEPS_PER_INSTRUCTION * size });
    total += size;
    if (total > MAX_GIVEN_PATTERNS)
      throw tooLarge(`must have patterns that compile to at most ${MAX_GIVEN_PATTERNS} together`);
  });
}

function tooLarge(message: string): PrismError {
  return invalidField("body", "mapping", message, "LIMIT");
}

/** A name of `let` that is the value of a JSON text. */
const JSON_OF = /^\s*=\s*parseJson\(\s*([^()]+?)\s*\)\s*$/;

/** Compiles a mapping. @throws INVALID_CONDITION, INVALID_TEMPLATE, with the path of the text */
export function compileMapping(mapping: Mapping, onPatterns?: (size: number) => void): CompiledMapping {
  const names: ReadonlySet<string> = new Set([...NAMES, ...Object.keys(mapping.let ?? {})]);
  const text = (source: string, field: string): CompiledText =>
    at(field, () => compileText(source, field, names, onPatterns));
  const test = (source: string, field: string): CompiledText => at(field, () => compileTest(source, names, onPatterns));
  const path = (source: string, field: string): CompiledText => text(`= ${source.replace(/^\s*=/, "")}`, field);
  return {
    ...fieldsOf(mapping, "mapping", text),
    names: Object.entries(mapping.let ?? {}).map(([name, source]) => [name, text(source, `mapping.let.${name}`)]),
    json: Object.entries(mapping.let ?? {}).flatMap(([name, given]) => {
      const source = JSON_OF.exec(given ?? "")?.[1];
      return source === undefined ? [] : [{ name, source, text: text(`= ${source}`, `mapping.let.${name}`) }];
    }),
    split: mapping.split ? path(mapping.split, "mapping.split") : undefined,
    when: mapping.when ? test(mapping.when, "mapping.when") : undefined,
    cases: (mapping.cases ?? []).map((each, i) => ({
      ...fieldsOf(each, `mapping.cases.${i}`, text),
      when: test(each.when, `mapping.cases.${i}.when`),
      skip: each.skip === true,
    })),
  };
}

/** Compiles a text over the names of every mapping, such as the id against replays. */
export function compilePlain(source: string, field: string): CompiledText {
  return at(field, () => compileText(source, field, new Set(NAMES)));
}

type FieldSources = Pick<Mapping, Field | "output" | "labels" | "annotations" | "payload">;

function fieldsOf(sources: FieldSources, at: string, text: (source: string, field: string) => CompiledText): Fields {
  const texts: Partial<Record<Field, CompiledText>> = {};
  for (const name of FIELDS) {
    const source = sources[name];
    if (typeof source === "string") texts[name] = text(source, `${at}.${name}`);
    // Null in a case removes the mapping's own.
    else if (source === null) texts[name] = () => null;
  }
  const named = (member: "labels" | "annotations") => {
    const given = sources[member];
    if (given === undefined) return undefined;
    return Object.entries(given).flatMap(([name, source]): [string, CompiledText][] =>
      source === null ? [] : [[name, text(source, `${at}.${member}.${name}`)]],
    );
  };
  return {
    output: sources.output,
    texts,
    labels: named("labels"),
    annotations: named("annotations"),
    payload: typeof sources.payload === "string" ? text(sources.payload, `${at}.payload`) : undefined,
  };
}

/** Names the field in the details of an error. */
function at<T>(field: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof PrismError) || !error.details) throw error;
    const details = error.details.map((each) => ({ ...each, path: field }));
    throw new PrismError(error.code, `${field}: ${details[0]?.message ?? error.message}`, { details, cause: error });
  }
}

/** Result of a mapping for a request. */
export interface Mapped {
  readonly items: readonly MappedItem[];
  /** Elements that `when` or a case leaves out. */
  readonly ignored: number;
  /** Items left out, and why. */
  readonly problem: string | null;
}

const MAX_PROBLEMS = 10;
const NO_LIMITS = { steps: null, elements: null };

/**
 * Applies a mapping. @param now epoch ms, for times and `now()` @param limits lower ones of its work and of the elements
 * @throws PAYLOAD_TOO_LARGE, ConditionTooCostly, TooManyMembers
 */
export function applyMapping(
  mapping: CompiledMapping,
  input: MappingInput,
  now: number,
  { steps, elements }: { readonly steps: number | null; readonly elements: number | null } = NO_LIMITS,
  parsedOf: (part: unknown) => unknown = () => null,
): Mapped {
  return withinBudget(() => {
    const whole = namedValues(mapping, { parts: null, ...input, item: null }, now);
    const list = mapping.split?.(valuesOf(whole, now));
    if (!Array.isArray(list)) {
      const values = valuesOf(whole, now);
      // A case for a request without a list says that it is expected.
      const isExpected = !mapping.split || mapping.cases.some(({ when }) => when(values) === true);
      return mapItems(mapping, [whole], { now, isElement: false }, isExpected ? [] : ["split: no list"]);
    }
    if (list.length > MAX_ITEMS)
      throw new PrismError("PAYLOAD_TOO_LARGE", `A request has at most ${MAX_ITEMS} elements`);
    if (elements !== null && list.length > elements) throw new TooManyMembers(elements);
    // A part is a body of its own.
    const areParts = list === input.parts;
    const each = list.map((part: unknown) =>
      namedValues(
        mapping,
        areParts ? { ...input, body: part, parsed: parsedOf(part), item: null } : { ...input, item: part },
        now,
      ),
    );
    return mapItems(mapping, each, { now, isElement: !areParts });
  }, steps ?? undefined);
}

/** The value of a text such as the id against replays. */
export function plainTextOf(text: CompiledText, input: MappingInput, now: number): string | null {
  return withinBudget(() => textOf(text(valuesOf({ ...input, item: null }, now))));
}

type Values = Readonly<Record<string, unknown>>;

function namedValues(mapping: CompiledMapping, values: Values, now: number): Values {
  if (mapping.names.length === 0) return values;
  const named: Record<string, unknown> = { ...values };
  // The later ones read the earlier ones.
  const read = valuesOf(named, now);
  for (const [name, text] of mapping.names) named[name] = text(read);
  return named;
}

interface MappingOf {
  readonly now: number;
  /** The values are of an element of `split`. */
  readonly isElement: boolean;
}

function mapItems(
  mapping: CompiledMapping,
  all: readonly Values[],
  of: MappingOf,
  found: readonly string[] = [],
): Mapped {
  const items = all.flatMap((values) => mapItem(mapping, values, of) ?? []);
  const problems = new Set([...found, ...items.flatMap((item) => item.problems)]);
  const problem = problems.size === 0 ? null : [...problems].slice(0, MAX_PROBLEMS).join("; ");
  return { items, ignored: all.length - items.length, problem };
}

/** @returns null for an element that is left out */
function mapItem(mapping: CompiledMapping, named: Values, { now, isElement }: MappingOf): MappedItem | null {
  const values = valuesOf(named, now);
  if (mapping.when && mapping.when(values) !== true) return null;
  const chosen = mapping.cases.find(({ when }) => when(values) === true);
  if (chosen?.skip) return null;
  const read = (name: Field) => (chosen?.texts[name] ?? mapping.texts[name])?.(values) ?? null;
  const record = (texts: Fields["labels"] = []) => texts.map(([name, text]) => [name, text(values)] as const);
  return checkedItem(
    {
      output: chosen?.output ?? mapping.output ?? "events",
      // In the order of the fields, each named: an object that is filled by names in a loop has no fixed shape.
      fields: {
        type: read("type"),
        level: read("level"),
        title: read("title"),
        message: read("message"),
        key: read("key"),
        status: read("status"),
        time: read("time"),
        startsAt: read("startsAt"),
        endsAt: read("endsAt"),
        link: read("link"),
        source: read("source"),
      } satisfies Record<Field, unknown>,
      labels: record(chosen?.labels ?? mapping.labels),
      annotations: record(chosen?.annotations ?? mapping.annotations),
      payload: (chosen?.payload ?? mapping.payload)?.(values) ?? null,
      content: isElement ? named["item"] : (named["body"] ?? named["text"] ?? null),
      problems: mapping.json.length === 0 ? NO_PROBLEMS : jsonProblems(mapping, named, values),
    },
    now,
  );
}

const MAX_QUOTED = 60;
const NO_PROBLEMS: readonly string[] = [];

/** Names of `let` whose text is no JSON: what reads their members has no value. */
function jsonProblems({ json }: CompiledMapping, named: Values, values: ReturnType<typeof valuesOf>): string[] {
  return json
    .filter(({ name }) => named[name] === null)
    .map(({ name, source, text }) => {
      const found = textOf(text(values));
      return `let.${name}: ${source} has no value of JSON: ${found === null ? "no value" : JSON.stringify(startOf(found, MAX_QUOTED))}`;
    });
}
