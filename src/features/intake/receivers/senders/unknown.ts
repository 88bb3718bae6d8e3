import { sha256Hex } from "../../../../core/crypto/tokens.ts";
import { startOf } from "../../../../core/text/clean-text.ts";
import { describeBody, isPoorName, plainName } from "../../../../core/text/describe-body.ts";
import { LongInteger } from "../../../../core/text/json-text.ts";

/** A list of objects within a body, and the objects that hold it, from the body on. */
interface Held {
  readonly list: readonly unknown[];
  readonly holders: readonly object[];
}

/** Holders of a list, and members that are looked at for one. */
const MAX_HOLDERS = 4;
const MAX_HELD = 500;

/**
 * The parts of a body that are reported one by one: the objects of a list, at the top or as the only
 * list of objects of a body that says nothing itself; null for a body that is one.
 */
export function partsOf(body: unknown): readonly unknown[] | null {
  if (Array.isArray(body)) return areParts(body) ? body : null;
  if (typeof body !== "object" || body === null) return null;
  const lists = heldIn(body);
  const own = lists.filter(({ holders }) => holders.length === 1);
  const [held, another] = own.length > 0 ? own : lists;
  return held !== undefined && another === undefined && isEnvelope(held) ? held.list : null;
}

/** All lists of objects, outermost first. */
function heldIn(body: object): Held[] {
  const found: Held[] = [];
  const levels: (readonly object[])[] = [[body]];
  let left = MAX_HELD;
  for (const holders of levels)
    for (const each of Object.values(holders.at(-1) ?? {})) {
      if (left-- <= 0) return found;
      const isDeep = holders.length > 1;
      if (Array.isArray(each)) {
        if (areParts(each) && !(isDeep && each.every(isPair))) found.push({ list: each, holders });
      } else if (typeof each === "object" && each !== null && holders.length < MAX_HOLDERS)
        levels.push([...holders, each]);
    }
  return found;
}

/** Whether a body says nothing of its own, besides what its parts say. Objects beside a list deep in it count. */
function isEnvelope({ list, holders }: Held): boolean {
  const [body] = holders;
  const isOwn = (each: unknown) => (holders.length === 1 ? typeof each !== "object" : each !== list);
  const { what, word, reason } = describeBody(body, "", (_, each) => isOwn(each));
  return (what === null || isPoorName(what)) && word === null && reason === null;
}

/** `{"name": "host", "value": "db-1"}` is a member of the body, written as an object. */
function isPair(part: object): boolean {
  return "value" in part && Object.keys(part).length === 2;
}

function areParts(list: readonly unknown[]): boolean {
  return list.length > 0 && list.every((each) => typeof each === "object" && each !== null && !Array.isArray(each));
}

/** Last words of names of ids, times and counters. */
const VARYING: ReadonlySet<string> = new Set([
  ...[
    "id",
    "ids",
    "uuid",
    "guid",
    "uid",
    "hash",
    "digest",
    "fingerprint",
    "token",
    "nonce",
    "signature",
    "sid",
    "etag",
  ],
  ...[
    "seq",
    "sequence",
    "serial",
    "time",
    "times",
    "timestamp",
    "ts",
    "date",
    "datetime",
    "at",
    "on",
    "since",
    "until",
  ],
  ...["start", "started", "end", "ended", "created", "updated", "duration", "elapsed", "uptime", "age", "epoch"],
  ...["count", "counts", "counter", "total", "occurrences", "attempt", "attempts", "retries", "repeats", "times"],
]);
const VARYING_ENDS =
  /(?:timestamp|datetime|eventid|alertid|requestid|messageid|createdat|updatedat|startedat|firedat|count)$/;
/** Times, ids and fractions within texts. */
const VARYING_TEXT =
  /\d{4}-\d\d-\d\d(?:[T ][\d:.]+)?(?:Z|[+-]\d\d:?\d\d)?|\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b|[0-9a-f]{8}-[0-9a-f-]{27}|\b(?=[0-9a-f]*\d)[0-9a-f]{16,}\b|\b\d{8,}\b|(?<![\d.])\d+\.\d+(?![\d.])/gi;
const LARGEST_PLAIN = 1e9;
const MAX_DIGESTED = 256;

/** Members of a content that are compared, and how deep. */
const MAX_COMPARED = 500;
const MAX_DEPTH = 6;

/** The same for contents that differ in times, counters and ids only. */
export function digestOf(content: unknown): string {
  let left = MAX_COMPARED;
  const plain = (value: unknown, depth: number): unknown => {
    if (left-- <= 0 || depth > MAX_DEPTH) return null;
    if (typeof value === "string") return startOf(value, MAX_DIGESTED).replace(VARYING_TEXT, "");
    if (typeof value === "number") return Number.isInteger(value) && Math.abs(value) < LARGEST_PLAIN ? value : 0;
    if (value instanceof LongInteger) return 0;
    if (Array.isArray(value)) return value.slice(0, left).map((each) => plain(each, depth + 1));
    if (typeof value !== "object" || value === null) return value;
    const members = Object.entries(value).filter(([name]) => !varies(name));
    return members.slice(0, left).map(([name, each]) => [name, plain(each, depth + 1)]);
  };
  return sha256Hex(JSON.stringify(plain(content, 0)) ?? "").slice(0, 32);
}

function varies(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  return VARYING.has(words.at(-1) ?? "") || VARYING_ENDS.test(plainName(name));
}
