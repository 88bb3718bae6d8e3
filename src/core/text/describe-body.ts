import { isIP } from "node:net";
import { cleanText, startOf } from "./clean-text.ts";
import { LongInteger } from "./json-text.ts";
import { ENDS } from "./names.ts";
import { withoutMarkup } from "./plain-text.ts";
import type { Level } from "./vocabulary.ts";
import { levelOfPriority, levelOfWord, type State, stateOf } from "./words.ts";

/** What is read of a body of an unknown form, by the ends of its names. */
interface BodyReading {
  /** What it is about, with its place. */
  readonly what: string | null;
  readonly where: string | null;
  /** Its state, as the sender writes it. */
  readonly word: string | null;
  readonly state: State | null;
  /** Of the severity that the sender names, or of the state; null without both. */
  readonly level: Level | null;
  /** What happened, in lines; null without a readable text. */
  readonly reason: string | null;
  /** Any text, if there is no other. */
  readonly any: string | null;
  readonly link: string | null;
  /** What it is about, without words for states, in lower case: the same when it fails and when it is over. */
  readonly subject: string;
}

/** A body of an unknown form in words. */
export interface BodyDescription extends BodyReading {
  /** What, where and how bad. */
  readonly title: string;
  /** What happened, besides the title. */
  readonly message: string | null;
}

/** Members of a body that are looked at, from its top. */
const MAX_LOOKED_AT = 500;
const MAX_DEPTH = 6;
const MAX_LINE = 250;
const MAX_STATE = 40;
const MAX_PLACE = 80;
const MAX_REASONS = 3;
const MAX_TEXTS = 20;

/** Texts that tell a person nothing: masked ones, ids, times, URLs, hashes. */
const OPAQUE = /^(?:[^\p{L}]*|[\d\s.:+TZ-]*|https?:\S*|[0-9a-f-]{16,}|\S{40,})$/iu;

const MAX_KNOWN = 1000;
const MAX_KNOWN_LENGTH = 64;
/** Senders repeat their names. */
const plainNames = new Map<string, string>();

/** Without case and separators: `MonitorName`, `MONITOR_NAME` and `monitor-name` are the same. */
export function plainName(name: string): string {
  if (name.length > MAX_KNOWN_LENGTH) return withoutSeparators(name);
  let plain = plainNames.get(name);
  if (plain === undefined) {
    plain = withoutSeparators(name);
    if (plainNames.size >= MAX_KNOWN) plainNames.clear();
    plainNames.set(name, plain);
  }
  return plain;
}

function withoutSeparators(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** Whether a name says nothing of what happened. */
export function isPoorName(name: string): boolean {
  return ENDS.poor.test(plainName(name));
}

interface Found {
  readonly name: string;
  readonly value: unknown;
}

/** Whether a member, with all that it holds, may be read. */
type IsRead = (name: string, value: unknown) => boolean;

/**
 * Describes JSON of which nothing is known, by the ends of its names: `MONITORNAME`, `check_name` and
 * `check.name` are the same. @param sender the title of a body that says nothing
 */
export function describeBody(body: unknown, sender = "", isRead: IsRead = () => true): BodyDescription {
  const reading = readByEnds(body, isRead);
  const { what, reason, any } = reading;
  return { ...reading, title: titleOf(sender, reading), message: reason ?? (what === null ? any : null) };
}

function readByEnds(body: unknown, isRead: IsRead): BodyReading {
  const all = membersOf(body, isRead);
  const texts = all.flatMap(({ name, value }) => {
    const line = typeof value === "string" ? lineOf(value) : "";
    return line === "" ? [] : [{ name, line, isOpaque: OPAQUE.test(line) }];
  });
  const readable = texts.filter(({ isOpaque }) => !isOpaque);
  const first = (of: readonly RegExp[], isGood: (name: string, line: string) => boolean = () => true) => {
    for (const pattern of of) {
      const found = readable.find(({ name, line }) => pattern.test(name) && isGood(name, line));
      if (found) return found.line;
    }
    return null;
  };
  const { word, state } = stateIn(all, readable);
  const isGood = (name: string, line: string) => !ENDS.poor.test(name) && line !== word;
  const named = first(ENDS.what, isGood);
  const links = texts.filter(
    ({ name, line }) => ENDS.links.test(name) && !ENDS.pictures.test(name) && /^https?:\/\//i.test(line),
  );
  const where = placeIn(texts) ?? (named === null ? (links[0]?.line ?? null) : null);
  const reasons = reasonsIn(readable, [named, word]);
  const what = named ?? (reasons.length === 0 ? (first(ENDS.kinds, isGood) ?? first(ENDS.what)) : null);
  const about = what === null || where === null || includes(what, where) ? what : `${what} on ${where}`;
  return {
    what: about,
    where,
    ...{ word, state },
    level: state === "resolved" ? "info" : (levelIn(all) ?? (state === "firing" ? "error" : null)),
    reason: reasons.length > 0 ? reasons.join("\n") : what === null ? textsOf(readable) : null,
    any: readable[0]?.line ?? null,
    link: links[0]?.line ?? null,
    subject: withoutStates(about ?? where ?? ""),
  };
}

/** A list of texts has nothing else to say. */
function textsOf(readable: readonly { readonly line: string }[]): string | null {
  const lines = [...new Set(readable.map(({ line }) => line))].slice(0, MAX_TEXTS);
  return lines.length > 1 ? lines.join("\n") : null;
}

function placeIn(texts: readonly { readonly name: string; readonly line: string; readonly isOpaque: boolean }[]) {
  for (const pattern of ENDS.where)
    for (const { name, line, isOpaque } of texts)
      if (pattern.test(name) && line.length <= MAX_PLACE && (!isOpaque || isIP(line) !== 0)) return line;
  return null;
}

function includes(text: string, part: string): boolean {
  return text.toLowerCase().includes(part.toLowerCase());
}

/** `Link A is down` and `Link A is up` are about `link a`. */
function withoutStates(text: string): string {
  const all = text
    .toLowerCase()
    .split(/[\s[\]():!,]+/)
    .filter((word) => word !== "");
  const rest = all.filter((word) => stateOf(word) === null && !/^(?:is|was|has|are|been|now|back|again)$/.test(word));
  return (rest.length === 0 ? all : rest).join(" ");
}

function titleOf(sender: string, { what, where, word, reason, any }: BodyReading): string {
  const said = reason?.split("\n", 1)[0] ?? (where === null ? any : null);
  const about = what ?? (said === null ? (where ?? sender) : `${where ?? sender}: ${said}`);
  return startOf(withWord(about, word), MAX_LINE);
}

/** A title with the word for the state, unless it says it already. */
function withWord(title: string, word: string | null): string {
  return word === null || title.toLowerCase().includes(word.toLowerCase()) ? title : `${title}: ${word}`;
}

function membersOf(body: unknown, isRead: IsRead): Found[] {
  const found: Found[] = [];
  const parts: { readonly name: string; readonly value: unknown; readonly depth: number }[] = [
    { name: "", value: body, depth: 0 },
  ];
  for (let i = 0; i < parts.length && i < MAX_LOOKED_AT; i++) {
    const { name, value, depth } = parts[i] ?? { name: "", value: null, depth: 0 };
    if (typeof value !== "object" || value === null || value instanceof LongInteger) found.push({ name, value });
    else if (depth < MAX_DEPTH)
      for (const [own, each] of entriesOf(value, MAX_LOOKED_AT - parts.length))
        if (isRead(own, each)) parts.push({ name: nameWithin(name, own), value: each, depth: depth + 1 });
  }
  return found;
}

/** `{"key": "level", "value": "WARNING"}` is a member of that name. */
function entriesOf(value: object, limit: number): [string, unknown][] {
  const entries = Object.entries(value).slice(0, Math.max(0, limit));
  if (entries.length !== 2) return entries;
  const { key, name, value: given } = value as { key?: unknown; name?: unknown; value?: unknown };
  const known = key ?? name;
  return typeof known === "string" && given !== undefined ? [[known, given]] : entries;
}

/** The end of a name tells what it is. */
const MAX_NAME = 100;

function nameWithin(outer: string, own: string): string {
  const name = plainName(own.slice(-MAX_NAME));
  // An element of a list is named as its list is.
  if (/^\d+$/.test(own)) return outer.replace(/s$/, "");
  return (ENDS.short.test(name) && !ENDS.holders.test(outer) ? outer + name : name).slice(-MAX_NAME);
}

function stateIn(all: readonly Found[], readable: readonly { readonly name: string; readonly line: string }[]) {
  const words = readable.filter(
    ({ name, line }) => ENDS.states.test(name) && !ENDS.earlier.test(name) && line.length <= MAX_STATE,
  );
  const known = words.find(({ line }) => stateOf(line) !== null) ?? words[0];
  if (known) return { word: known.line, state: stateOf(known.line) };
  for (const { name, value } of all) {
    if (typeof value !== "boolean" || ENDS.earlier.test(name)) continue;
    const own = name.replace(/^(?:is|has|was)/, "");
    const state = stateOf(own);
    if (state === "firing" && value) return { word: own, state };
    if (state === "resolved") return value ? { word: own, state } : { word: `not ${own}`, state: "firing" as const };
  }
  return { word: null, state: null };
}

function levelIn(all: readonly Found[]): Level | null {
  for (const { name, value } of all) {
    if (typeof value !== "string" || !ENDS.severities.test(name)) continue;
    const level = (name.endsWith("priority") ? levelOfPriority : levelOfWord)(value.trim());
    if (level !== null) return level;
  }
  return null;
}

function reasonsIn(
  readable: readonly { readonly name: string; readonly line: string }[],
  shown: readonly (string | null)[],
): string[] {
  const reasons: string[] = [];
  for (const pattern of ENDS.reasons)
    for (const { name, line } of readable)
      if (reasons.length < MAX_REASONS && pattern.test(name) && ![...shown, ...reasons].includes(line))
        reasons.push(line);
  return reasons;
}

function lineOf(text: string): string {
  const [line = ""] = withoutMarkup(cleanText(startOf(text, 4 * MAX_LINE)))
    .trim()
    .split(/[\r\n]/, 1);
  return startOf(line.trim(), MAX_LINE);
}
