import type { Context } from "../context.ts";
import { isObject, type Json, type JsonObject, parsed } from "./json.ts";

const UNIT_MS = 300_000;
/** When each recorded server starts: a Wednesday morning. */
export const STARTS_AT = Date.UTC(2026, 10, 25, 10, 30);
const TIME = /20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g;
const TIME_ONLY = /^20\d\d-/;
const EPOCH_MS = /(?<![A-Za-z\d])1[67]\d{11}(?![A-Za-z\d])/g;
const EPOCH_S = /(?<![A-Za-z\d.])1[67]\d{8}(?![A-Za-z\d])/g;
/** The date of {@link STARTS_AT}. */
const TODAY = "2026-11-25T";
/** Local time of a zone. */
const LOCAL = /20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?![\dZ.+-])/g;
/** Of calendars and names of files; not full minutes. */
const COMPACT = /20261125T103\d{3}Z?|20\d{6}T\d{4}(?!00)\d\dZ?/g;
/** What is new in each run; secrets are long words with letters of both kinds and digits. */
const NUMBERED = {
  webhook: /\bwhsec_[A-Za-z0-9+/]{20,}={0,2}/g,
  notice: /(?<=#notice-)[0-9a-f]{16}\b/g,
  receiver: /(?<=\/in\/)[a-z2-7]{32}\b/g,
  socket: /\b\d{5,}\.\d{5,}\b/g,
  recovery: /(?<=")[a-z\d]{4}(?:-[a-z\d]{4}){3}(?=")/g,
  badge: /(?<=\/badge\/[^/ ]+\/)[\w-]{8}(?=[./-])/g,
  key: /\b(?:pr[a-z]_[\w-]{16,}|(?<=\/ping\/)[\w-]{22}(?![\w-]))/g,
  id: /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g,
  secret: /eyJ[\w-]+\.[\w-]+\.[\w-]+|(?<![\w+-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{20,}={0,2}/g,
  hash: /\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{20}|[0-9a-f]{12})\b/g,
};
const ONE_TIME_CODE = /"code":"\d{6}"/g;
const UNPRINTABLE = /[^\P{Cc}\n\t]/gu;
const PORT = /((?:127\.0\.0\.1|localhost):)\d{2,5}\b/g;
/** Members that differ between two runs of one executable, and what stands for their values. */
const VARYING: Readonly<Record<string, string>> = {
  requestId: "<request>",
  correlationId: "<request>",
  nextCursor: "<cursor>",
  freeDiskBytes: "<bytes>",
  sizeBytes: "<bytes>",
  usedBytes: "<bytes>",
  walBytes: "<bytes>",
  lastCheckpointAt: "<time of a file>",
  duration: "<s>",
  latencyMs: "<ms>",
  ms: "<ms>",
  prefix: "<prefix>",
  messages_rate: "<rate>",
  closeTime: "<ms>",
  tinyId: "<number>",
  took: "<s>",
  tookMs: "<ms>",
  uptimeMs: "<ms>",
};
/** Random values of members, some no longer than words. */
const SHORT: Readonly<Record<string, RegExp>> = {
  id: /^(?!E0{4})(?=.*[A-Z\d])(?:[A-Za-z0-9]{12}|[A-Za-z0-9]{10})$|^\d{11,}$/,
  token: /^[\w.+/=-]{15,}$/,
  accessToken: /^[\w.+/=-]{15,}$/,
  refreshToken: /^[\w.+/=-]{15,}$/,
  secret: /^[\w.+/=-]{15,}$/,
  challenge: /^[\w.+/=-]{15,}$/,
  pingKey: /^[\w.+/=-]{15,}$/,
};
const LONG_LINES = 60;

/** One file of a recording: what was asked and answered, without what differs in each run. */
export class Transcript {
  readonly #context: Context;
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #varying: Readonly<Record<string, string>>;
  readonly #lines: string[] = [];
  readonly #exact = new Map<string, string>();
  /** Placeholders of the part under way. */
  #numbered = new Map<string, string>();
  /** Long bodies by their text, with the title under which they were first seen. */
  #bodies = new Map<string, string>();
  #title = "";

  /** @param varying further members to replace, by name */
  constructor(context: Context, varying: Readonly<Record<string, string>> = {}) {
    this.#context = context;
    this.name(context.scratch, "scratch");
    this.#varying = { ...VARYING, ...varying };
  }

  /** An id or secret that has a name from here on. */
  name(value: string, name: string): void {
    this.#names.set(value, `<${name}>`);
  }

  /** Starts a part in which placeholders are counted from one: changes of one part do not renumber others. */
  section(title: string): void {
    this.#numbered = new Map();
    this.#exact.clear();
    this.#counts.clear();
    this.#bodies = new Map();
    this.#lines.push("", this.#clean(`## ${title}`));
  }

  /** Text that stands for itself in this part only, such as an ETag. */
  once(kind: string, text: string): void {
    if (this.#exact.has(text)) return;
    this.#exact.set(text, this.#number(kind, text));
  }

  /** A heading of what follows. */
  title(title: string): void {
    this.#title = title;
    this.#lines.push("", `# ${title}`);
  }

  line(text: string): void {
    this.#lines.push(this.#clean(text));
  }

  /** A body: JSON with one member a line in the order in which it came. */
  body(text: string): void {
    if (text === "") return;
    const lines = this.clean(text).split("\n");
    const seen = this.#bodies.get(lines.join("\n"));
    if (lines.length > LONG_LINES && seen !== undefined) this.#lines.push(`(the body of: ${seen})`);
    else this.#lines.push(...lines);
    this.#bodies.set(lines.join("\n"), seen ?? this.#title);
  }

  /** Text of a request or answer as it is recorded. */
  clean(text: string): string {
    const value = parsed(text);
    if (typeof value === "object") return this.#clean(JSON.stringify(this.#fixed(value), null, 2));
    // Lines of calendars are folded at a length that depends on ids.
    const unfolded = text.startsWith("BEGIN:VCALENDAR") ? text.replaceAll(/\r?\n /g, "") : text;
    return this.#clean(unfolded.replaceAll(/(?<=^|^data: )\{.*\}$/gm, (line) => this.#oneLine(line)));
  }

  #oneLine(text: string): string {
    const value = parsed(text);
    return typeof value === "object" ? JSON.stringify(this.#fixed(value)) : text;
  }

  save(name: string): void {
    this.#context.write(name, this.#lines.join("\n").trimStart());
  }

  #fixed(value: Json): Json {
    if (Array.isArray(value)) return value.map((each: Json) => this.#fixed(each));
    if (!isObject(value)) return value;
    const members = Object.entries(value).map(([name, each]) => {
      const isWord = typeof each === "string" || typeof each === "number";
      if (isWord && SHORT[name]?.test(String(each))) this.once(name, String(each));
      const fixed = each === null ? undefined : this.#varying[name];
      return [name, fixed ?? (isSpan(name, each) ? "<ms>" : this.#fixed(each))];
    });
    return Object.fromEntries(members) as JsonObject;
  }

  #clean(text: string): string {
    let replaced = text;
    for (const [exact, name] of [...this.#names, ...this.#exact]) replaced = replaced.replaceAll(exact, name);
    replaced = replaced
      .replace(TIME, (found) => this.#time(Date.parse(found), found, formOf(found)))
      .replace(EPOCH_MS, (found) => this.#time(Number(found), found, " in ms"))
      .replace(EPOCH_S, (found) => this.#time(Number(found) * 1000, found, " in s"))
      .replace(LOCAL, (found) => (found.endsWith(":00") && !found.startsWith(TODAY) ? found : "<local time>"))
      .replace(COMPACT, "<now>")
      .replace(ONE_TIME_CODE, '"code":"<code>"');
    for (const [kind, pattern] of Object.entries(NUMBERED))
      replaced = replaced.replace(pattern, (found) => this.#number(kind, found));
    return replaced.replace(PORT, "$1<port>").replace(UNPRINTABLE, "·");
  }

  #number(kind: string, found: string): string {
    const known = this.#numbered.get(found);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    this.#numbered.set(found, `<${kind} ${count}>`);
    return `<${kind} ${count}>`;
  }

  /** Full minutes come from a request or a plan and are the same in each run; others tell the distance from the start. */
  #time(at: number, text: string, form: string): string {
    const distance = Math.floor((at - STARTS_AT) / UNIT_MS);
    if (distance === 0 || distance === -1) return `<now${form}>`;
    if (at % 60_000 === 0 && TIME_ONLY.test(text)) return text;
    return `<now ${distance > 0 ? "+" : "-"} ${Math.abs(distance * UNIT_MS) / 60_000} min${form}>`;
  }
}

/** How an instant is written, unless it is in UTC with milliseconds. */
function formOf(time: string): string {
  return /\.\d{3}Z$/.test(time) ? "" : ` as ${time.replaceAll(/\d/g, "0")}`;
}

/** Time that has passed, or is left, at the moment of the answer. */
function isSpan(name: string, value: Json): boolean {
  return name.endsWith("Ms") && typeof value === "number" && value > 1000 && value % 1000 !== 0;
}
