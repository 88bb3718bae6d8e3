import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { cleanText, startOf } from "../../../core/text/clean-text.ts";
import { decimalText } from "../../../core/text/decimal.ts";
import { scanJson } from "../../../core/text/json-text.ts";
import { isObject } from "../../../core/text/members.ts";
import { withoutMarkup, withoutStateMark } from "../../../core/text/plain-text.ts";
import type { Level } from "../../../core/text/vocabulary.ts";
import { levelOfWord } from "../../../core/text/words.ts";
import { chargeText } from "../../rules/index.ts";

export type ReceiverOutput = "events" | "alerts" | "both";
export type ItemStatus = "firing" | "resolved" | "acknowledged" | "event";

/** Result of a mapping for a request, or for one element of its list. */
export interface MappedItem {
  readonly output: ReceiverOutput;
  readonly status: ItemStatus;
  /** Resolved, and does not notify if nothing fires: the sender reports each success. */
  readonly isRoutine: boolean;
  /** null: `<preset>.<status>` */
  readonly type: string | null;
  /** null: the mapping has none. */
  readonly level: Level | null;
  readonly title: string | null;
  readonly message: string | null;
  readonly key: string | null;
  readonly time: number | null;
  readonly startsAt: number | null;
  readonly endsAt: number | null;
  readonly link: string | null;
  readonly source: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** null: made of the members above. */
  readonly payload: Readonly<Record<string, unknown>> | null;
  /** The element, or the whole body. */
  readonly content: unknown;
  /** The mapping found nothing in it. */
  readonly isUnmapped: boolean;
  /** Values that were left out, with the reason. */
  readonly problems: readonly string[];
}

/** Values of the texts of a mapping. */
interface MappedValues {
  readonly output: ReceiverOutput;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly labels: readonly (readonly [string, unknown])[];
  readonly annotations: readonly (readonly [string, unknown])[];
  readonly payload: unknown;
  readonly content: unknown;
  /** What was left out before. */
  readonly problems: readonly string[];
}

const MAX_TITLE = 250;
const MAX_MESSAGE = 16_384;
const MAX_KEY = 512;
const MAX_NAME = 100;
const MAX_URL = 4096;
const MAX_LABEL = 1024;
const MAX_LABELS = 64;
const MAX_LABEL_TEXT = 8192;
const MAX_ANNOTATIONS = 32;
const MAX_ANNOTATION_TEXT = 32_768;

/** Checks and limits the values of a mapping: too long ones are cut, wrong ones left out. */
export function checkedItem(
  { output, fields, labels, annotations, payload, content, problems }: MappedValues,
  now: number,
): MappedItem {
  const text = (name: string, length: number) => limitedText(fields[name], length);
  const word = (name: string) => limitedText(fields[name], MAX_NAME);
  // A payload is charged as a text: it is measured when it is stored.
  if (isObject(payload)) jsonOf(payload);
  const state = word("status");
  const status = knownStatus(state ?? "event") ?? "event";
  const title = oneLine(limitedText(fields["title"], MAX_TITLE, withoutMarkup));
  const item = {
    output,
    status,
    isRoutine: state === ROUTINE,
    type: oneLine(text("type", MAX_NAME)),
    level: levelOf(word("level")),
    // An event has no other state than that of its title.
    title: title === null || status === "event" ? title : withoutStateMark(title),
    message: limitedText(fields["message"], MAX_MESSAGE, withLinks),
    key: keyOf(textOf(fields["key"])),
    time: instantOf(fields["time"]),
    startsAt: instantOf(fields["startsAt"]),
    endsAt: instantOf(fields["endsAt"]),
    link: linkOf(limitedText(fields["link"], MAX_URL + 1)),
    source: oneLine(text("source", MAX_NAME)),
    labels: recordOf(labels, LABELS),
    annotations: recordOf(annotations, ANNOTATIONS),
    payload: isObject(payload) ? payload : null,
    content,
    isUnmapped: false,
    problems,
  };
  // A key without a state names something and says nothing of it.
  const isNamed = item.key !== null && item.status !== "event";
  item.isUnmapped = !isNamed && item.title === null && item.message === null && item.payload === null;
  const found = item.isUnmapped ? [item.key === null ? NOTHING_FOUND : ONLY_A_KEY] : problemsOf(item, fields);
  if (found.length > 0) item.problems = [...problems, ...found];
  item.time = notLaterThan(item.time, now);
  return item;
}

const NOTHING_FOUND = "title, message, key and payload have no value";
const ONLY_A_KEY = "title, message and payload have no value";
const WANTED = [
  ["level", "no level"],
  ["time", "no time"],
  ["startsAt", "no time"],
  ["endsAt", "no time"],
  ["link", "no http or https URL"],
] as const;
const MAX_QUOTED = 60;

function problemsOf(item: MappedItem, fields: MappedValues["fields"]): string[] {
  const problems: string[] = [];
  const given = (name: string) => limitedText(fields[name], MAX_QUOTED);
  const add = (name: string, text: string | null, why: string) =>
    text !== null && problems.push(`${name}: ${JSON.stringify(text)} is ${why}`);
  for (const [name, why] of WANTED) if (item[name] === null) add(name, given(name), why);
  const status = given("status");
  if (status !== null && knownStatus(status) === undefined)
    add("status", status, "not firing, resolved, acknowledged or event");
  if (item.output !== "alerts") return problems;
  if (status === null) problems.push("status has no value: no alert");
  else if (item.status !== "event" && item.key === null) problems.push("key has no value: no alert");
  return problems;
}

/** A text of any value: lists and objects as JSON; null for nothing and empty text. @throws ConditionTooCostly */
export function textOf(value: unknown): string | null {
  const text = rawText(value);
  return text === null ? null : cleaned(text);
}

function withLinks(text: string): string {
  return withoutMarkup(text, { withLinks: true });
}

/** Cut before it is cleaned, so that a long text costs no more than its limit. */
function limitedText(value: unknown, length: number, plain = (text: string): string => text): string | null {
  const text = rawText(value);
  if (text === null) return null;
  // Cleaning removes characters and spaces.
  const given = cleaned(startOf(text, length * 4));
  const clean = given === null ? null : plain(given).trim() || null;
  return clean === null || clean.length <= length ? clean : `${startOf(clean, length - 1)}…`;
}

function rawText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "bigint") return decimalText(value);
  return typeof value === "object" ? jsonOf(value) : String(value);
}

function cleaned(text: string): string | null {
  chargeText(text);
  const clean = cleanText(text).trim();
  return clean === "" ? null : clean;
}

const serialised = new WeakMap<object, string>();

/** The JSON of a value of a request, made and charged once. @throws ConditionTooCostly */
function jsonOf(value: object): string {
  const known = serialised.get(value);
  if (known !== undefined) return known;
  const text = JSON.stringify(value);
  serialised.set(value, text);
  chargeText(text);
  return text;
}

/** Length of a value's JSON. */
export function jsonLength(value: unknown): number {
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null).length;
  return (serialised.get(value) ?? JSON.stringify(value)).length;
}

const written = new WeakMap<object, string>();

/** The JSON of a request's body, written once: for its event's limit and for the log. It is not charged. */
export function textOnce(value: object): string {
  let text = serialised.get(value) ?? written.get(value);
  if (text === undefined) {
    text = JSON.stringify(value);
    written.set(value, text);
  }
  return text;
}

const fitting = new WeakMap<object, boolean>();
/** Limit of the content of an event, which the rules read again. */
const MAX_CONTENT = 131_072;
const MAX_CONTENT_MEMBERS = 5000;

/** Whether an event may have the value as its payload or body. */
export function fitsEvent(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return jsonLength(value) <= MAX_CONTENT;
  const known = fitting.get(value);
  if (known !== undefined) return known;
  const text = textOnce(value);
  // Each member takes a character at least.
  const fits =
    text.length <= MAX_CONTENT_MEMBERS ||
    (text.length <= MAX_CONTENT && scanJson(text, MAX_DEPTH, MAX_CONTENT_MEMBERS).members <= MAX_CONTENT_MEMBERS);
  fitting.set(value, fits);
  return fits;
}

const MAX_DEPTH = 100;

function oneLine(text: string | null): string | null {
  return text === null ? null : text.replace(/[\s\p{Cc}]+/gu, " ").trim() || null;
}

/** A long key by its hash: two long keys with the same start differ. */
function keyOf(text: string | null): string | null {
  if (text === null || text.length <= MAX_KEY) return text;
  return `${text.slice(0, MAX_KEY - 65)}:${sha256Hex(text)}`;
}

/** The status of a success that is reported each time. */
const ROUTINE = "succeeded";
/** The words of mappings; `alerting` and `ok` are those of Grafana and OnCall. */
const STATUS_OF: Readonly<Record<string, ItemStatus>> = {
  ...{ firing: "firing", resolved: "resolved", acknowledged: "acknowledged", event: "event" },
  ...{ alerting: "firing", ok: "resolved", [ROUTINE]: "resolved" },
};

/** Undefined for another word. */
function knownStatus(text: string): ItemStatus | undefined {
  return Object.hasOwn(STATUS_OF, text) ? STATUS_OF[text] : undefined;
}

/** The level of a usual word for a severity; null for another one. */
function levelOf(text: string | null): Level | null {
  return text === null ? null : levelOfWord(text);
}

const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);
/** Numbers below are seconds. */
const FIRST_MS = 1e11;
const FIRST_US = 1e14;

/** Epoch ms of an ISO 8601 text, or of seconds, ms or µs since 1970; null out of 2000 to 2099. */
function instantOf(value: unknown): number | null {
  const text = limitedText(value, MAX_NAME);
  if (text === null) return null;
  const number = /^\d{9,16}(\.\d{1,9})?$/.test(text) ? Number(text) : null;
  const ms =
    number === null
      ? Date.parse(text)
      : number < FIRST_MS
        ? number * 1000
        : number >= FIRST_US
          ? number / 1000
          : number;
  return ms >= EARLIEST && ms < LATEST ? Math.round(ms) : null;
}

/** Clocks of senders may run ahead. */
function notLaterThan(time: number | null, now: number): number | null {
  return time === null || time > now ? null : time;
}

/** A URL that a browser opens. */
function linkOf(text: string | null): string | null {
  if (text === null || text.length > MAX_URL || !/^https?:\/\//i.test(text)) return null;
  return URL.canParse(text) ? text : null;
}

/** The cost of a member of a spread object, in characters of text. */
const SPREAD_UNITS = 32;

interface RecordLimits {
  readonly entries: number;
  readonly text: number;
  readonly all: number;
}

const LABELS: RecordLimits = { entries: MAX_LABELS, text: MAX_LABEL, all: MAX_LABEL_TEXT };
const ANNOTATIONS: RecordLimits = { entries: MAX_ANNOTATIONS, text: MAX_MESSAGE, all: MAX_ANNOTATION_TEXT };
const NO_TEXTS: Readonly<Record<string, string>> = {};

/** Texts by name; the members of an object under `*` come first, so that named ones override them. */
function recordOf(
  given: readonly (readonly [string, unknown])[],
  limits: RecordLimits,
): Readonly<Record<string, string>> {
  if (given.length === 0) return NO_TEXTS;
  const spread = given
    .filter(([name]) => name === "*")
    .flatMap(([, value]) => (isObject(value) ? Object.entries(value) : []));
  const named = given.filter(([name]) => name !== "*");
  const texts = new Map<string, string>();
  chargeText({ length: spread.length * SPREAD_UNITS });
  for (const [name, value] of [...spread, ...named]) {
    const text = limitedText(value, limits.text);
    const known = limitedText(name, MAX_NAME);
    if (known !== null && text !== null) texts.set(known, text);
  }
  const kept: [string, string][] = [];
  let size = 0;
  for (const [name, text] of texts) {
    size += name.length + text.length;
    if (kept.length < limits.entries && size <= limits.all) kept.push([name, text]);
  }
  return Object.fromEntries(kept);
}
