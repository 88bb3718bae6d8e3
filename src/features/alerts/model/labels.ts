import { PrismError } from "../../../core/errors.ts";

declare const isLabels: unique symbol;

/**
 * A label set: names and values in turn, sorted by name in byte order, without empty values. The
 * strings are shared with other label sets, so 100 000 alerts keep one copy of each.
 */
export type Labels = readonly string[] & { readonly [isLabels]: true };

export type LabelRecord = Readonly<Record<string, string>>;

/** Drops empty values, sorts by name, and shares the strings. Unpaired surrogates become U+FFFD. */
export function labelsOf(record: LabelRecord): Labels {
  return sortedLabels(record).map(shared) as readonly string[] as Labels;
}

/** {@link labelsOf} for a short life: the strings are those of the record, a fifth of the cost. */
export function sortedLabels(record: LabelRecord): Labels {
  const names = Object.keys(record).filter((name) => record[name] !== "");
  names.sort(compareText);
  const labels: string[] = [];
  for (const name of names) labels.push(name, record[name] ?? "");
  return labels as readonly string[] as Labels;
}

/** The labels as an object, names in order. `__proto__` is an ordinary name. */
export function labelRecord(labels: Labels): LabelRecord {
  const entries: [string, string][] = [];
  for (let at = 0; at < labels.length; at += 2) entries.push([labels[at] ?? "", labels[at + 1] ?? ""]);
  return Object.fromEntries(entries);
}

/** The value of a label; "" if absent, as in matchers and groups. */
export function labelValue(labels: Labels, name: string): string {
  for (let at = 0; at < labels.length; at += 2) if (labels[at] === name) return labels[at + 1] ?? "";
  return "";
}

/** The labels of these names that are present, for group labels and `equal`. */
export function pickLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  const picked: string[] = [];
  for (let at = 0; at < labels.length; at += 2) {
    const name = labels[at] ?? "";
    if (names.has(name)) picked.push(name, labels[at + 1] ?? "");
  }
  return picked as unknown as Labels;
}

/** Alertmanager's order of label sets: fewer labels first, then by name and value. */
export function compareLabels(left: Labels, right: Labels): number {
  if (left.length !== right.length) return left.length - right.length;
  for (let at = 0; at < left.length; at += 2) {
    // The set that lacks the first name of both is the smaller one.
    const byName = compareText(right[at] ?? "", left[at] ?? "");
    if (byName !== 0) return byName;
    const byValue = compareText(left[at + 1] ?? "", right[at + 1] ?? "");
    if (byValue !== 0) return byValue;
  }
  return 0;
}

/**
 * Alertmanager's order of the alerts of a group: by `job` and `instance`, those without last, then
 * by all labels.
 */
export function compareInGroup(left: Labels, right: Labels): number {
  for (const name of ["job", "instance"]) {
    const [a, b] = [labelValue(left, name), labelValue(right, name)];
    // Equal strings are mostly the same one.
    if (a !== b) return Number(a === "") - Number(b === "") || compareText(a, b);
  }
  return compareLabels(left, right);
}

/** The text form in group keys: `{alertname="A", instance="i1"}`. */
export function labelsText(labels: Labels): string {
  const parts: string[] = [];
  for (let at = 0; at < labels.length; at += 2) parts.push(`${labels[at]}=${goQuoted(labels[at + 1] ?? "")}`);
  return `{${parts.join(", ")}}`;
}

/** Prometheus 3 and Alertmanager 0.27 accept any name that is not empty and valid UTF-8. */
export function isLabelName(name: string): boolean {
  return name !== "" && name.isWellFormed();
}

/** @throws VALIDATION_FAILED that names the first invalid label. */
export function checkLabels(record: LabelRecord): void {
  for (const name of Object.keys(record)) {
    const problem = !isLabelName(name) ? "name" : (record[name] ?? "").isWellFormed() ? null : "value";
    if (problem) throw new PrismError("VALIDATION_FAILED", `invalid label ${problem} ${JSON.stringify(name)}`);
  }
}

/** Orders as the bytes of UTF-8 do, which differs from UTF-16 for characters above U+FFFF. */
export function compareText(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const [a, b] = [left.charCodeAt(at), right.charCodeAt(at)];
    if (a !== b) return byCodePoint(a) - byCodePoint(b);
  }
  return left.length - right.length;
}

/** Moves surrogates after U+FFFF. */
function byCodePoint(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  '"': '\\"',
  "\\": "\\\\",
};

// Control characters, characters without a glyph, and separators other than the space.
const NOT_PRINTED = /["\\]|[^\P{C}]|[^\P{Z} ]/gu;

/** A string literal of Go (`strconv.Quote`), as in the text of label sets. */
export function goQuoted(text: string): string {
  const escaped = text.replace(NOT_PRINTED, (found) => {
    const short = SHORT_ESCAPES[found];
    if (short !== undefined) return short;
    const point = found.codePointAt(0) ?? 0;
    if (point < 0x80) return `\\x${point.toString(16).padStart(2, "0")}`;
    const digits = point.toString(16);
    return point > 0xffff ? `\\U${digits.padStart(8, "0")}` : `\\u${digits.padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}

/** Strings per generation: names and values of about 100 000 alerts. */
const GENERATION_SIZE = 131_072;

let recent = new Map<string, string>();
let older = new Map<string, string>();

/**
 * One copy of equal strings. Two generations bound the memory: strings not seen for a while are no
 * longer shared, but stay with the label sets that have them.
 */
function shared(text: string): string {
  const known = recent.get(text);
  if (known !== undefined) return known;
  const kept = older.get(text) ?? text.toWellFormed();
  if (recent.size >= GENERATION_SIZE) {
    older = recent;
    recent = new Map();
  }
  recent.set(kept, kept);
  return kept;
}

// FNV-1a 64 (RFC 9923): its prime is 2^40 + 0x1b3. In halves of 32 bits it takes a tenth of the
// time of BigInt.
const OFFSET_HIGH = 0xcbf29ce4;
const OFFSET_LOW = 0x84222325;
const PRIME_LOW = 0x1b3;
/** Follows each name and value. No UTF-8 text contains it. */
const SEPARATOR = 0xff;

let high = 0;
let low = 0;

/** Alertmanager's id of a label set: FNV-1a 64 over the sorted names and values, 16 hex digits. */
export function fingerprintOf(labels: Labels): string {
  high = OFFSET_HIGH;
  low = OFFSET_LOW;
  for (const text of labels) {
    hashText(text);
    hashByte(SEPARATOR);
  }
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

/** Hashes the UTF-8 bytes of a well-formed string. */
function hashText(text: string): void {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) hashByte(unit);
    else {
      const point = text.codePointAt(at) ?? unit;
      if (point > 0xffff) at += 1;
      hashCodePoint(point);
    }
  }
}

function hashCodePoint(point: number): void {
  if (point < 0x800) hashByte(0xc0 | (point >> 6));
  else {
    if (point < 0x10000) hashByte(0xe0 | (point >> 12));
    else {
      hashByte(0xf0 | (point >> 18));
      hashByte(0x80 | ((point >> 12) & 0x3f));
    }
    hashByte(0x80 | ((point >> 6) & 0x3f));
  }
  hashByte(0x80 | (point & 0x3f));
}

function hashByte(byte: number): void {
  const mixed = (low ^ byte) >>> 0;
  const product = mixed * PRIME_LOW;
  // Low half times 2^40: 8 bits of it reach the high half's lowest bits shifted by 8.
  high = (Math.imul(high, PRIME_LOW) + Math.floor(product / 0x100000000) + (mixed << 8)) >>> 0;
  low = product >>> 0;
}
