// Control characters except \n and \t, and bidirectional controls (Unicode TR 36 section 2.4).
const REMOVED = /(?![\n\t])\p{Cc}|[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/gu;
// With the u flag a surrogate pair is one code point, so only a lone half matches.
const LONE_SURROGATE = /\p{Cs}/gu;
const PLAIN = /^[\t\n -~]*$/;

/** Text as Prism stores it: NFC, without control characters, bidi overrides, lone surrogates. */
export function cleanText(text: string): string {
  if (PLAIN.test(text)) return text;
  // Normalised last: the characters on both sides of a removed one may compose.
  return normalised(text.replace(LONE_SURROGATE, "").replace(REMOVED, ""), "NFC");
}

const SHORT = 256;
/** Marks that follow 30 others; halfwidth sound marks are letters that NFKC makes marks of. */
const FURTHER_MARKS = /([\p{M}\uff9e\uff9f]{30})[\p{M}\uff9e\uff9f]+/gu;

/**
 * Text in a normalisation form (UAX 15). Normalising sorts the marks of a letter, in quadratic time: in
 * longer texts those after the 30th in a row are left out, as in its Stream-Safe Text Format.
 */
export function normalised(text: string, form: "NFC" | "NFKC" | "NFKD"): string {
  return (text.length > SHORT ? text.replace(FURTHER_MARKS, "$1") : text).normalize(form);
}

const ADDRESS_ROOM = 2000;

/** Text from outside without mail addresses, shortened to 2000 characters: it is read by others than their users. */
export function withoutAddresses(text: string): string {
  // Bounded, since the pattern is tried at each character; a word that is cut may be part of an address.
  const start = text.length <= ADDRESS_ROOM ? text : text.slice(0, ADDRESS_ROOM).replace(/\S+$/, "");
  return start.replaceAll(/<?[^\s<>]+@[^\s<>]*>?/g, "…");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes text for element content, quoted attributes and XML. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** The start of a text, without half of a surrogate pair at its end. */
export function startOf(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).replace(/[\ud800-\udbff]$/, "");
}

/** Length in Unicode code points, the unit of every limit on texts. */
export function codePointLength(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next < 0xe000) {
        length--;
        i++;
      }
    }
  }
  return length;
}

/** A name for a mail to a stranger: letters, digits, spaces and word connectors are too little for an address. */
export function plainWords(text: string): string {
  return text
    .replace(/[^\p{L}\p{M}\p{N} '&+_-]/gu, " ")
    .replace(/ +/g, " ")
    .trim()
    .slice(0, 100);
}

/** Such as `1 alert`, `3 alerts`. @param many default: with an s */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

const ORDINALS = new Map([
  ["one", "st"],
  ["two", "nd"],
  ["few", "rd"],
]);

/** Such as `1st`, `12th`, `23rd`. */
export function ordinalText(n: number): string {
  const kind = new Intl.PluralRules("en", { type: "ordinal" }).select(n);
  return `${n}${ORDINALS.get(kind) ?? "th"}`;
}

/** `1536` is `1.5 KiB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power]}`;
}

/** In the largest unit with at least two: `90 s`, `45 min`. */
export function ageText(ms: number): string {
  for (const [unit, size] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
  ] as const)
    if (ms >= 2 * size) return `${Math.floor(ms / size)} ${unit}`;
  return `${Math.floor(ms / 1000)} s`;
}

// Control characters of both blocks and marks that change the text direction: foreign text must not
// control the reader's terminal.
export const UNPRINTABLE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Foreign text for a terminal: one line, without control sequences. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) =>
    character === "\n" || character === "\t" ? " " : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The first line that has characters. */
export function firstLine(text: string): string {
  const [line = ""] = text.trimStart().split(/[\r\n]/, 1);
  return line.trim();
}

/** Longer lines are cut before they are cleaned: a title has 80 characters. */
export const LINE_LENGTH = 1000;
const SHORT_LINE = 200;
/** Most values: a line of plain words. */
const PLAIN_LINE = /^(?:[!-~]+(?: [!-~]+)*)?$/;
/** Soft hyphens, spaces without a width and separators: a title of them is none. */
const INVISIBLE = /[\u00ad\u200b\u2060\ufeff]/g;

/** Whether a text is printable ASCII with single spaces. */
export function isPlainLine(text: string): boolean {
  return PLAIN_LINE.test(text);
}

/** A text in one line, cleaned, without invisible characters, of at most {@link LINE_LENGTH} before that. */
export function oneLine(text: string): string {
  if (text.length <= SHORT_LINE && PLAIN_LINE.test(text)) return text;
  return cleanText(startOf(text, LINE_LENGTH)).replace(INVISIBLE, "").replace(/\s+/g, " ").trim();
}

/** Whether each character is of ASCII and visible: lower case then maps no other letter to one of ASCII. */
export function isVisibleAscii(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}
