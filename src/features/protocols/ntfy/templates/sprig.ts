import { createHash } from "node:crypto";
import { isTimezone, zoneOffsetMs } from "../../../../core/time/clock.ts";
import { failed, joined, limited, MAX_ITEMS, MAX_TEXT, Printed, tooLong } from "./bounds.ts";
import { BASE_FUNCTIONS, entriesOf, isTruthy, memberOf, numberOf, textOf as text } from "./functions.ts";
import { PATTERN_FUNCTIONS } from "./patterns.ts";

/* Functions of Sprig that ntfy has too; the piped value is the last argument. Times are UTC. */

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

const number = (value: unknown): number => numberOf(typeof value === "string" ? value.trim() : (value ?? 0)) || 0;
const int = (value: unknown): number => Math.trunc(number(value));
const list = (value: unknown): unknown[] => {
  if (Array.isArray(value)) return value as unknown[];
  if (value === undefined || value === null) return [];
  throw failed("a list is wanted");
};

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
  const seen = new Set<unknown>();
  return values.filter((each) => {
    const before = seen.size;
    return seen.add(keyOf(each)).size > before;
  });
}

/** Equal for equal values, and for no others. */
function keyOf(value: unknown): unknown {
  if (typeof value === "object") return `json ${JSON.stringify(value)}`;
  return typeof value === "string" ? `text ${value}` : value;
}

function without(values: readonly unknown[], others: readonly unknown[]): unknown[] {
  const keys = new Set(others.map(keyOf));
  return values.filter((each) => !keys.has(keyOf(each)));
}

/** The members whose names are in `names`, or the others. */
function membersOf(value: unknown, names: readonly unknown[], isIn: boolean): Record<string, unknown> {
  const keys = new Set(names.map(text));
  return dictOf(entries(value).filter(([name]) => keys.has(name) === isIn));
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
  if (typeof value === "number") return new GoTime(value * 1000).ms;
  const at = typeof value === "string" ? (/^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value)) : Number.NaN;
  return Number.isNaN(at) ? Date.now() : new GoTime(at).ms;
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

/** The parts of a layout that a text is read by: each of few lengths, and once, as its group has a name. */
const READ: Readonly<Record<string, string>> = {
  ...{ "2006": "(?<year>\\d{4})", "06": "(?<shortYear>\\d\\d)", "01": "(?<month>\\d\\d)", "1": "(?<month>\\d\\d?)" },
  ...{ Jan: "(?<name>[A-Za-z]{3})", January: "(?<name>[A-Za-z]{3,9})" },
  ...{ "02": "(?<day>\\d\\d)", "2": "(?<day>\\d\\d?)", _2: "(?<day> ?\\d\\d?)" },
  ...{ Mon: "(?<weekday>[A-Za-z]{3})", Monday: "(?<weekday>[A-Za-z]{3,9})" },
  ...{ "15": "(?<hour>\\d\\d)", "03": "(?<hourOfHalf>\\d\\d)", "3": "(?<hourOfHalf>\\d\\d?)" },
  ...{ PM: "(?<half>[AP]M)", pm: "(?<half>[ap]m)" },
  ...{ "04": "(?<minute>\\d\\d)", "4": "(?<minute>\\d\\d?)", "05": "(?<second>\\d\\d)", "5": "(?<second>\\d\\d?)" },
  ...{
    "Z07:00": "(?<zone>Z|[+-]\\d\\d:?\\d\\d)",
    "-0700": "(?<zone>[+-]\\d{4})",
    "-07:00": "(?<zone>[+-]\\d\\d:\\d\\d)",
    MST: "(?<zoneName>[A-Z]{3,5})",
  },
};
const MAX_TIME_TEXT = 100;

function layoutPattern(layout: string): RegExp {
  const escaped = layout.slice(0, MAX_TIME_TEXT + 1).replace(/[\\^$*+?()[\]{}|]/g, "\\$&");
  const refused = failed(`the layout "${layout.slice(0, MAX_TIME_TEXT)}" cannot be read`);
  if (layout.length > MAX_TIME_TEXT) throw refused;
  const source = escaped.replace(LAYOUT, (token) => {
    const part = token.startsWith(".") ? `\\.(?<fraction>\\d{${token.length - 1}})` : READ[token];
    if (part === undefined) throw refused;
    return part;
  });
  try {
    return new RegExp(`^${source}$`);
  } catch {
    throw refused;
  }
}

function parsedTime(layout: string, given: string): GoTime {
  const source = layoutPattern(layout);
  const found = given.length > MAX_TIME_TEXT ? null : source.exec(given)?.groups;
  if (!found || monthOf(found) < 0) return new GoTime(0);
  const { day = "1", minute = "0", second = "0", zone = "Z", fraction = "0" } = found;
  const ms = Date.UTC(yearOf(found), monthOf(found), Number(day), hourOf(found), Number(minute), Number(second));
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(zone) ?? [];
  const offset = hours === undefined ? 0 : (Number(hours) * 60 + Number(minutes)) * 60_000;
  return new GoTime((sign === "-" ? ms + offset : ms - offset) + Math.floor(Number(`0.${fraction}`) * 1000));
}

type Groups = Readonly<Record<string, string | undefined>>;

/** Two digits are those of 1969 to 2068, as in Go. */
function yearOf({ year = "1", shortYear }: Groups): number {
  if (shortYear === undefined) return Number(year);
  return Number(shortYear) + (Number(shortYear) >= 69 ? 1900 : 2000);
}

function monthOf({ month, name = "January" }: Groups): number {
  return month === undefined ? MONTHS.findIndex((each) => each.startsWith(name)) : Number(month) - 1;
}

function hourOf({ hour, hourOfHalf, half }: Groups): number {
  if (hourOfHalf === undefined) return Number(hour ?? 0);
  if (half === undefined) return Number(hourOfHalf);
  return (Number(hourOfHalf) % 12) + (half.toUpperCase() === "PM" ? 12 : 0);
}

const HTML: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" };

function indented(width: unknown, value: unknown): string {
  const blanks = " ".repeat(Math.min(100, Math.max(0, int(width))));
  return blanks + joined(text(value).split("\n"), `\n${blanks}`);
}

function part(value: unknown, from: unknown, to: unknown): unknown {
  const [start, end] = [int(from), to === undefined ? undefined : int(to)];
  if (start < 0 || (end !== undefined && end < start)) throw failed("slice index out of range");
  return Array.isArray(value) ? value.slice(start, end) : [...text(value)].slice(start, end).join("");
}

function plucked(name: string, values: readonly unknown[]): unknown[] {
  return values.map((each) => memberOf(each, name)).filter((each) => each !== undefined);
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
  ["set", (value, key, given) => dictOf([...entries(value), [text(key), given]])],
  ["unset", (value, key) => membersOf(value, [key], false)],
  ["pick", (value, ...keys) => membersOf(value, keys, true)],
  ["omit", (value, ...keys) => membersOf(value, keys, false)],
  ["pluck", (key, ...values) => plucked(text(key), values)],
  ["values", (value) => entries(value).map(([, each]) => each)],
  ["has", (needle, value) => list(value).map(keyOf).includes(keyOf(needle))],
  ["uniq", (value) => unique(list(value))],
  ["without", (value, ...others) => without(list(value), others)],
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
];

function repeated(count: number, value: string): string {
  if (count * value.length > MAX_TEXT || count > MAX_ITEMS) throw tooLong();
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
  ...PATTERN_FUNCTIONS,
]);
