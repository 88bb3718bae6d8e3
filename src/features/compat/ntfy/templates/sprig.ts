import { createHash } from "node:crypto";
import { RE2JS } from "re2js";
import { isTimezone, zoneOffsetMs } from "../../../../core/clock.ts";
import { BASE_FUNCTIONS, entriesOf, failed, isTruthy, memberOf, Printed, shown } from "./functions.ts";

/* Functions of Sprig that ntfy has too; the piped value is the last argument. Times are UTC. */

const MAX_ITEMS = 10_000;
const MAX_TEXT = 1_048_576;
const MAX_PATTERN = 500;

type Value = (...values: unknown[]) => unknown;
type Row = readonly [name: string, run: Value];

/** An instant, printed as Go does. */
class GoTime extends Printed {
  readonly ms: number;

  constructor(ms: number) {
    super();
    if (Math.abs(ms) > 8.64e15 || Number.isNaN(ms)) throw failed("the time is out of range");
    this.ms = ms;
  }

  toString(): string {
    return goDate(this.ms, "2006-01-02 15:04:05 -0700 MST", "UTC");
  }
}

const text = (value: unknown): string => (value === undefined ? "" : shown(value));
const number = (value: unknown): number => Number(typeof value === "string" ? value.trim() : (value ?? 0)) || 0;
const int = (value: unknown): number => Math.trunc(number(value));
const list = (value: unknown): unknown[] => {
  if (Array.isArray(value)) return value as unknown[];
  if (value === undefined || value === null) return [];
  throw failed("a list is wanted");
};

function limited(value: string): string {
  if (value.length > MAX_TEXT) throw failed("the output is too long");
  return value;
}

function range(from: number, to: number, step: number): number[] {
  if (step === 0 || (to - from) * step <= 0) return [];
  const length = Math.ceil((to - from) / step);
  if (length > MAX_ITEMS) throw failed(`a list has at most ${MAX_ITEMS} items`);
  return Array.from({ length }, (_, at) => from + at * step);
}

/** Without a prototype: names are of the template's author. */
function dictOf(entries: Iterable<readonly [string, unknown]>): Record<string, unknown> {
  const found = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of entries) found[key] = value;
  return found;
}

function pairs(values: readonly unknown[]): [string, unknown][] {
  return range(0, values.length, 2).map((at) => [text(values[at]), values[at + 1] ?? ""]);
}

function entries(value: unknown): [string, unknown][] {
  return entriesOf(value).map(([key, each]) => [String(key), each]);
}

function unique(values: readonly unknown[]): unknown[] {
  return values.filter((value, at) => values.findIndex((each) => isSame(each, value)) === at);
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

function pattern(given: unknown): RE2JS {
  const source = text(given);
  if (source.length > MAX_PATTERN) throw failed("the regular expression is too long");
  try {
    return RE2JS.compile(source);
  } catch {
    throw failed(`"${source}" is no regular expression`);
  }
}

function allMatches(source: unknown, value: unknown, count: number): string[] {
  const matcher = pattern(source).matcher(text(value));
  const found: string[] = [];
  while ((count < 0 || found.length < count) && found.length < MAX_ITEMS && matcher.find())
    found.push(matcher.group() ?? "");
  return found;
}

/** `${1}` and `$1` of Go. */
function replaced(source: unknown, value: unknown, by: string): string {
  return limited(
    pattern(source)
      .matcher(text(value))
      .replaceAll(by.replaceAll("\\", "\\\\").replace(/\$\{?(\w+)\}?/g, "$$$1")),
  );
}

function digest(algorithm: string): Value {
  return (value) => createHash(algorithm).update(text(value)).digest("hex");
}

function rounded(round: (value: number) => number): Value {
  return (value) => round(number(value));
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A duration of Go, such as `-1h30m`, in milliseconds. */
function durationMs(given: unknown): number {
  const source = text(given);
  if (!/^[+-]?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(source)) throw failed(`"${source}" is no duration`);
  let ms = 0;
  for (const [, count, unit] of source.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    ms += Number(count) * (UNITS[unit ?? ""] ?? 0);
  return source.startsWith("-") ? -ms : ms;
}

function durationText(seconds: number): string {
  const [sign, all] = [seconds < 0 ? "-" : "", Math.abs(Math.trunc(seconds))];
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  if (hours > 0) return `${sign}${hours}h${minutes}m${rest}s`;
  return `${sign}${minutes > 0 ? `${minutes}m` : ""}${rest}s`;
}

/** A time, epoch seconds, or a text that names one; else now. */
function timeOf(value: unknown): number {
  if (value instanceof GoTime) return value.ms;
  if (typeof value === "number") return value * 1000;
  const at = typeof value === "string" ? (/^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value)) : Number.NaN;
  return Number.isNaN(at) ? Date.now() : at;
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  ...["January", "February", "March", "April", "May", "June", "July", "August", "September", "October"],
  ...["November", "December"],
];
const LAYOUT = /2006|January|Jan|Monday|Mon|MST|-07:00|-0700|Z07:00|\.0+(?!\d)|_2|0[1-6]|15|06|PM|pm|[1-5]/g;
const two = (value: number): string => String(value).padStart(2, "0");

/** A time in a layout of Go, `2006-01-02 15:04:05`. */
function goDate(ms: number, layout: string, zone: string): string {
  const timezone = isTimezone(zone) ? zone : "UTC";
  const offset = timezone === "UTC" ? 0 : zoneOffsetMs(timezone, ms) / 60_000;
  const at = new Date(ms + offset * 60_000);
  const hours = at.getUTCHours() % 12 === 0 ? 12 : at.getUTCHours() % 12;
  const [month, day] = [MONTHS[at.getUTCMonth()] ?? "", DAYS[at.getUTCDay()] ?? ""];
  const sign = offset < 0 ? "-" : "+";
  const [zoneHours, zoneMinutes] = [two(Math.floor(Math.abs(offset) / 60)), two(Math.abs(offset) % 60)];
  const parts: Readonly<Record<string, string>> = {
    "2006": String(at.getUTCFullYear()),
    "06": two(at.getUTCFullYear() % 100),
    January: month,
    Jan: month.slice(0, 3),
    "01": two(at.getUTCMonth() + 1),
    "1": String(at.getUTCMonth() + 1),
    Monday: day,
    Mon: day.slice(0, 3),
    "02": two(at.getUTCDate()),
    _2: String(at.getUTCDate()).padStart(2, " "),
    "2": String(at.getUTCDate()),
    "15": two(at.getUTCHours()),
    "03": two(hours),
    "3": String(hours),
    "04": two(at.getUTCMinutes()),
    "4": String(at.getUTCMinutes()),
    "05": two(at.getUTCSeconds()),
    "5": String(at.getUTCSeconds()),
    PM: at.getUTCHours() < 12 ? "AM" : "PM",
    pm: at.getUTCHours() < 12 ? "am" : "pm",
    "-0700": `${sign}${zoneHours}${zoneMinutes}`,
    "-07:00": `${sign}${zoneHours}:${zoneMinutes}`,
    "Z07:00": offset === 0 ? "Z" : `${sign}${zoneHours}:${zoneMinutes}`,
    MST: timezone === "UTC" ? "UTC" : `${sign}${zoneHours}${zoneMinutes === "00" ? "" : zoneMinutes}`,
  };
  return layout.replace(LAYOUT, (token) =>
    token.startsWith(".")
      ? `.${String(at.getUTCMilliseconds())
          .padStart(3, "0")
          .padEnd(9, "0")
          .slice(0, token.length - 1)}`
      : (parts[token] ?? token),
  );
}

/** The parts of a layout that a text is read by, as patterns. */
const READ: Readonly<Record<string, string>> = {
  ...{ "2006": "(?<year>\\d{4})", "01": "(?<month>\\d\\d)", "1": "(?<month>\\d\\d?)", "02": "(?<day>\\d\\d)" },
  ...{ "2": "(?<day>\\d\\d?)", _2: " ?(?<day>\\d\\d?)", "15": "(?<hour>\\d\\d)", "04": "(?<minute>\\d\\d)" },
  ...{ "05": "(?<second>\\d\\d)", Jan: "(?<name>[A-Za-z]{3})", January: "(?<name>[A-Za-z]+)" },
  ...{
    "Z07:00": "(?<zone>Z|[+-]\\d\\d:?\\d\\d)",
    "-0700": "(?<zone>[+-]\\d{4})",
    "-07:00": "(?<zone>[+-]\\d\\d:\\d\\d)",
  },
};

function parsedTime(layout: string, given: string): GoTime {
  const escaped = layout.replace(/[\\^$*+?()[\]{}|]/g, "\\$&");
  let source: RegExp;
  try {
    source = new RegExp(`^${escaped.replace(LAYOUT, (token) => READ[token] ?? "\\S+?")}$`);
  } catch {
    throw failed(`the layout "${layout}" cannot be read`);
  }
  const found = given.length > 100 ? null : source.exec(given)?.groups;
  if (!found) return new GoTime(0);
  const { year = "1", month, name, day = "1", hour = "0", minute = "0", second = "0", zone = "Z" } = found;
  const number =
    month === undefined ? MONTHS.findIndex((each) => each.startsWith(name ?? "January")) : Number(month) - 1;
  const ms = Date.UTC(Number(year), number, Number(day), Number(hour), Number(minute), Number(second));
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(zone) ?? [];
  const offset = hours === undefined ? 0 : (Number(hours) * 60 + Number(minutes)) * 60_000;
  return new GoTime(sign === "-" ? ms + offset : ms - offset);
}

const HTML: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" };

function indented(width: unknown, value: unknown): string {
  const blanks = " ".repeat(Math.min(100, Math.max(0, int(width))));
  return limited(blanks + text(value).replaceAll("\n", `\n${blanks}`));
}

function part(value: unknown, from: unknown, to: unknown): unknown {
  const [start, end] = [int(from), to === undefined ? undefined : int(to)];
  if (start < 0 || (end !== undefined && end < start)) throw failed("slice index out of range");
  return Array.isArray(value) ? value.slice(start, end) : [...text(value)].slice(start, end).join("");
}

const TIMES: readonly Row[] = [
  ["now", () => new GoTime(Date.now())],
  ["date", (layout, value) => goDate(timeOf(value), text(layout), "UTC")],
  ["dateInZone", (layout, value, zone) => goDate(timeOf(value), text(layout), text(zone))],
  ["dateModify", (change, value) => new GoTime(timeOf(value) + durationMs(change))],
  ["ago", (value) => durationText((Date.now() - timeOf(value)) / 1000)],
  ["toDate", (layout, value) => parsedTime(text(layout), text(value))],
  ["duration", (seconds) => durationText(number(seconds))],
  ["unixEpoch", (value) => String(Math.floor(timeOf(value) / 1000))],
];

const LISTS: readonly Row[] = [
  ["list", (...values) => values],
  ["dict", (...values) => dictOf(pairs(values))],
  ["get", (value, key) => memberOf(value, text(key)) ?? ""],
  [
    "set",
    (value, key, given) => dictOf([...entries(value).filter(([name]) => name !== text(key)), [text(key), given]]),
  ],
  ["unset", (value, key) => dictOf(entries(value).filter(([name]) => name !== text(key)))],
  ["pick", (value, ...keys) => dictOf(entries(value).filter(([name]) => keys.map(text).includes(name)))],
  ["omit", (value, ...keys) => dictOf(entries(value).filter(([name]) => !keys.map(text).includes(name)))],
  ["pluck", (key, ...values) => values.map((each) => memberOf(each, text(key))).filter((each) => each !== undefined)],
  ["values", (value) => entries(value).map(([, each]) => each)],
  ["has", (needle, value) => list(value).some((each) => isSame(each, needle))],
  ["uniq", (value) => unique(list(value))],
  ["without", (value, ...others) => list(value).filter((each) => !others.some((other) => isSame(each, other)))],
  ["compact", (value) => list(value).filter(isTruthy)],
  ["sortAlpha", (value) => list(value).map(text).sort()],
  ["reverse", (value) => [...list(value)].reverse()],
  ["rest", (value) => list(value).slice(1)],
  ["initial", (value) => list(value).slice(0, -1)],
  ["append", (value, item) => [...list(value), item]],
  ["prepend", (value, item) => [item, ...list(value)]],
  ["concat", (...values) => values.flatMap(list)],
  ["until", (count) => range(0, int(count), int(count) < 0 ? -1 : 1)],
  ["untilStep", (from, to, step) => range(int(from), int(to), int(step))],
  ["slice", part],
];

const NUMBERS: readonly Row[] = [
  ["int", int],
  ["int64", int],
  ["atoi", int],
  ["float64", number],
  ["add1", (value) => int(value) + 1],
  ["div", (a, b) => quotient(a, b)],
  ["mod", (a, b) => int(a) - quotient(a, b) * int(b)],
  ["max", (...values) => Math.max(...values.map(int))],
  ["min", (...values) => Math.min(...values.map(int))],
  ["ceil", rounded(Math.ceil)],
  ["floor", rounded(Math.floor)],
  ["round", (value, places) => Number(number(value).toFixed(Math.min(10, Math.max(0, int(places)))))],
];

function quotient(a: unknown, b: unknown): number {
  if (int(b) === 0) throw failed("integer divide by zero");
  return Math.trunc(int(a) / int(b));
}

const TEXTS: readonly Row[] = [
  ["repeat", (count, value) => repeated(int(count), text(value))],
  [
    "substr",
    (from, to, value) => [...text(value)].slice(Math.max(0, int(from)), int(to) < 0 ? undefined : int(to)).join(""),
  ],
  ["nospace", (value) => text(value).replace(/\s+/g, "")],
  ["indent", indented],
  ["nindent", (width, value) => `\n${indented(width, value)}`],
  ["trimAll", (cut, value) => trimmed(text(value), text(cut))],
  ["squote", (...values) => values.map((value) => `'${text(value)}'`).join(" ")],
  ["cat", (...values) => values.map(text).join(" ")],
  ["plural", (one, many, count) => (int(count) === 1 ? one : many)],
  [
    "abbrev",
    (width, value) =>
      text(value).length > int(width) && int(width) > 3 ? `${text(value).slice(0, int(width) - 3)}...` : text(value),
  ],
  ["b64enc", (value) => Buffer.from(text(value)).toString("base64")],
  ["b64dec", (value) => Buffer.from(text(value), "base64").toString("utf8")],
  ["sha1sum", digest("sha1")],
  ["sha256sum", digest("sha256")],
  ["sha512sum", digest("sha512")],
  ["fromJson", (value) => fromJson(text(value))],
  ["toPrettyJson", (value) => JSON.stringify(value ?? null, null, 2)],
  [
    "html",
    (...values) =>
      limited(
        values
          .map(text)
          .join("")
          .replace(/[&<>"']/g, (letter) => HTML[letter] ?? letter),
      ),
  ],
  [
    "js",
    (...values) =>
      limited(
        values
          .map(text)
          .join("")
          .replace(/[\\'"<>&=\n\r\t]/g, escapedForScript),
      ),
  ],
  ["regexMatch", (source, value) => pattern(source).matcher(text(value)).find()],
  ["regexFind", (source, value) => allMatches(source, value, 1)[0] ?? ""],
  ["regexFindAll", (source, value, count) => allMatches(source, value, int(count))],
  ["regexReplaceAll", (source, value, by) => replaced(source, value, text(by))],
  [
    "regexReplaceAllLiteral",
    (source, value, by) =>
      limited(
        pattern(source)
          .matcher(text(value))
          .replaceAll(RE2JS.quoteReplacement(text(by))),
      ),
  ],
  ["regexSplit", (source, value, count) => pattern(source).split(text(value), int(count) < 0 ? 0 : int(count))],
];

function repeated(count: number, value: string): string {
  if (count * value.length > MAX_TEXT || count > MAX_ITEMS) throw failed("the output is too long");
  return value.repeat(Math.max(0, count));
}

function trimmed(value: string, cut: string): string {
  const letters = new Set(cut);
  const all = [...value];
  const from = all.findIndex((letter) => !letters.has(letter));
  return from === -1 ? "" : all.slice(from, all.findLastIndex((letter) => !letters.has(letter)) + 1).join("");
}

function fromJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return "";
  }
}

function escapedForScript(letter: string): string {
  const code = letter.charCodeAt(0).toString(16).toUpperCase();
  return /[\\'"]/.test(letter) ? `\\${letter}` : `\\u${code.padStart(4, "0")}`;
}

/** All functions; the piped value is the last argument. */
export const TEMPLATE_FUNCTIONS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ...BASE_FUNCTIONS,
  ...TIMES,
  ...LISTS,
  ...NUMBERS,
  ...TEXTS,
]);
