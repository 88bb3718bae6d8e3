import { failed, joined, MAX_ITEMS, Printed } from "./bounds.ts";

export function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    if (value === undefined || value === null) return undefined;
    throw failed(`can't evaluate field ${name}`);
  }
  return Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

export function entriesOf(value: unknown): [unknown, unknown][] {
  if (Array.isArray(value)) return [...value.entries()];
  if (typeof value === "object" && value !== null) return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  if (value === undefined || value === null) return [];
  throw failed("range can't iterate over this value");
}

export function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** As Go prints a value. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return "<no value>";
  if (typeof value === "string") return value;
  if (typeof value === "number") return numberText(value);
  if (Array.isArray(value)) return `[${value.map(shown).join(" ")}]`;
  if (value instanceof Printed) return value.toString();
  if (typeof value === "object")
    return `map[${entriesOf(value)
      .map(([key, each]) => `${String(key)}:${shown(each)}`)
      .join(" ")}]`;
  return String(value);
}

/** JSON numbers are floats in Go, which prints them with an exponent from 1e21 on. */
function numberText(value: number): string {
  return String(value).replace(/e([+-])(\d)$/, "e$10$2");
}

/** As an argument: nothing is the empty text. */
export function textOf(value: unknown): string {
  return value === undefined ? "" : shown(value);
}

/** A dict has no text that `Number` could read. */
export function numberOf(value: unknown): number {
  return typeof value === "object" && value !== null ? Number.NaN : Number(value);
}

const texts = (values: readonly unknown[]): string[] => values.map(textOf);
const numbers = (values: readonly unknown[]): number[] => values.map(numberOf);

function compared(test: (a: never, b: never) => boolean) {
  return (a: unknown, b: unknown): boolean => {
    if (typeof a !== typeof b || (typeof a !== "number" && typeof a !== "string"))
      throw failed("incompatible types for comparison");
    return test(a as never, b as never);
  };
}

/** Functions of Go's templates, and those of Sprig that most templates use; sprig.ts has the others. */
export const BASE_FUNCTIONS: ReadonlyMap<string, (...values: unknown[]) => unknown> = new Map<
  string,
  (...values: unknown[]) => unknown
>([
  ["not", (value) => !isTruthy(value)],
  ["eq", (first, ...others) => others.some((other) => first === other)],
  ["ne", (a, b) => a !== b],
  ["lt", compared((a: number, b: number) => a < b)],
  ["le", compared((a: number, b: number) => a <= b)],
  ["gt", compared((a: number, b: number) => a > b)],
  ["ge", compared((a: number, b: number) => a >= b)],
  ["len", (value) => (typeof value === "string" ? Buffer.byteLength(value) : entriesOf(value).length)],
  [
    "index",
    (value, ...path) =>
      path.reduce((each, key) => (Array.isArray(each) ? each[numberOf(key)] : memberOf(each, textOf(key))), value),
  ],
  ["print", (...values) => texts(values).join("")],
  ["println", (...values) => `${texts(values).join(" ")}\n`],
  ["printf", (format, ...values) => formatted(textOf(format), values)],
  ["urlquery", (...values) => encodeURIComponent(texts(values).join("").toWellFormed())],
  ["default", (fallback, value) => (isTruthy(value) ? value : fallback)],
  ["coalesce", (...values) => values.find(isTruthy)],
  ["ternary", (yes, no, test) => (isTruthy(test) ? yes : no)],
  ["empty", (value) => !isTruthy(value)],
  ["upper", (value) => shown(value).toUpperCase()],
  ["lower", (value) => shown(value).toLowerCase()],
  [
    "title",
    (value) => shown(value).replace(/(^|\s)(\S)/g, (_, space: string, letter: string) => space + letter.toUpperCase()),
  ],
  ["trim", (value) => shown(value).trim()],
  [
    "trimPrefix",
    (prefix, value) => (shown(value).startsWith(shown(prefix)) ? shown(value).slice(shown(prefix).length) : value),
  ],
  [
    "trimSuffix",
    (suffix, value) =>
      shown(value).endsWith(shown(suffix)) ? shown(value).slice(0, -shown(suffix).length || undefined) : value,
  ],
  [
    "trunc",
    (length, value) =>
      (numberOf(length) >= 0
        ? [...shown(value)].slice(0, numberOf(length))
        : [...shown(value)].slice(numberOf(length))
      ).join(""),
  ],
  ["replace", (from, to, value) => replacedText(shown(value), shown(from), shown(to))],
  ["contains", (part, value) => shown(value).includes(shown(part))],
  ["hasPrefix", (part, value) => shown(value).startsWith(shown(part))],
  ["hasSuffix", (part, value) => shown(value).endsWith(shown(part))],
  ["hasKey", (value, key) => memberOf(value, textOf(key)) !== undefined],
  ["first", (value) => (Array.isArray(value) ? value[0] : undefined)],
  ["last", (value) => (Array.isArray(value) ? value.at(-1) : undefined)],
  ["join", (separator, value) => (Array.isArray(value) ? joined(texts(value), shown(separator)) : shown(value))],
  ["split", (separator, value) => shown(value).split(shown(separator), MAX_ITEMS + 1)],
  ["splitList", (separator, value) => shown(value).split(shown(separator), MAX_ITEMS + 1)],
  ["keys", (value) => entriesOf(value).map(([key]) => key)],
  ["dig", (...given) => dug(given)],
  ["toJson", (value) => JSON.stringify(value ?? null)],
  ["toString", (value) => shown(value)],
  [
    "quote",
    (...values) =>
      texts(values)
        .map((text) => JSON.stringify(text))
        .join(" "),
  ],
  ["add", (...values) => numbers(values).reduce((a, b) => a + b, 0)],
  ["sub", (a, b) => numberOf(a) - numberOf(b)],
  ["mul", (...values) => numbers(values).reduce((a, b) => a * b, 1)],
  [
    "fail",
    (text) => {
      throw failed(shown(text));
    },
  ],
]);

/** An empty `from` is found around each letter. */
function replacedText(value: string, from: string, to: string): string {
  return joined(from === "" ? ["", ...value, ""] : value.split(from), to);
}

/** `dig "a" "b" fallback map`. */
function dug(given: readonly unknown[]): unknown {
  const [fallback, map] = given.slice(-2);
  let value = map;
  for (const name of given.slice(0, -2)) value = memberOf(value, textOf(name));
  return value ?? fallback;
}

/** The verbs `%s %v %d %q %t %%` and a precision for `%f`. */
function formatted(format: string, values: readonly unknown[]): string {
  let at = 0;
  return format.replace(/%(?:\.(\d))?([svdqtf%])/g, (_, precision: string | undefined, verb: string) => {
    if (verb === "%") return "%";
    const value = values[at++];
    if (verb === "q") return JSON.stringify(shown(value));
    if (verb === "d") return String(Math.trunc(numberOf(value)));
    return verb === "f" ? numberOf(value).toFixed(Number(precision ?? 6)) : shown(value);
  });
}
