import { createHash } from "node:crypto";
import { FILTERS, type TemplateFilter } from "../../rules/index.ts";
import { html, markdown, markdownV2, mrkdwn, notCommand, wiki, withoutLinks } from "./markup.ts";
import { cutTo, toGsm } from "./measure.ts";

type TextFilter = (text: string, argument: string) => string;

/** Filters of the value itself, besides those of all templates. */
const OF_VALUES: Readonly<Record<string, TextFilter>> = {
  trim: (text) => text.trim(),
  line: (text) => text.replace(/\s*[\r\n\t]+\s*|\s{4,}/g, " ").trim(),
  prefix: (text, before) => (text === "" ? "" : before + text),
  suffix: (text, after) => (text === "" ? "" : text + after),
  cut: (text, limit) => cutTo(text, numberOf(limit), "codepoints"),
  first: (text, count) => Array.from(text).slice(0, numberOf(count)).join(""),
  date: dateText,
  gsm: toGsm,
  hash: (text, length) =>
    createHash("sha256")
      .update(text)
      .digest("hex")
      .slice(0, length === "" ? 64 : numberOf(length)),
  uuid: uuidOf,
  raw: (text) => text,
};

/** Filters that escape: a text is shortened before them. */
const ESCAPES: Readonly<Record<string, TextFilter>> = {
  html,
  mrkdwn,
  br: (text, by) => text.replace(/\r?\n/g, by === "" ? "<br>" : by),
  md: markdown,
  md2: markdownV2,
  nolinks: withoutLinks,
  wiki,
  nocommand: notCommand,
  json: (text) => JSON.stringify(text),
  b64: (text) => Buffer.from(text).toString("base64"),
  url: encodeURIComponent,
};

const NEED_ARGUMENT: ReadonlySet<string> = new Set(["default", "prefix", "suffix", "cut", "first"]);

/** Those of all templates take an argument here too; nothing is an empty text. */
export const CHANNEL_FILTERS: Readonly<Record<string, TemplateFilter>> = Object.fromEntries(
  Object.entries({ ...FILTERS, ...ofTexts(OF_VALUES), ...ofTexts(ESCAPES) }).map(([name, { apply }]) => [
    name,
    { apply, argument: NEED_ARGUMENT.has(name) ? "needed" : "any" } as const,
  ]),
);

export function isEscape(name: string): boolean {
  return Object.hasOwn(ESCAPES, name);
}

function ofTexts(filters: Readonly<Record<string, TextFilter>>): Record<string, Pick<TemplateFilter, "apply">> {
  return Object.fromEntries(
    Object.entries(filters).map(([name, filter]) => [
      name,
      { apply: (value, argument) => filter(value === null ? "" : String(value), argument) },
    ]),
  );
}

function numberOf(text: string): number {
  const number = Number.parseInt(text, 10);
  return Number.isNaN(number) ? 0 : Math.max(0, number);
}

function dateText(text: string): string {
  const at = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(at) || Math.abs(at) > 8.64e15) return text;
  const iso = new Date(at).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** RFC 9562 section 5.8: a version 8 UUID from a hash, so that equal texts give equal ids. */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
