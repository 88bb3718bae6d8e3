import { setImmediate as turn } from "node:timers/promises";
import { executablePath, readAsset } from "../../../core/runtime.ts";
import { anchors, headingOf, INDEX, plainText, readingOrder, readPage } from "./manual.ts";

/** A section of a page that has all words of a search. */
export interface Found {
  readonly topic: string;
  /** The section's heading; of text before the first one, the page's. */
  readonly heading: string;
  /** The section's place on the page; empty: its start. */
  readonly anchor: string;
  /** The line with most of the words, without marks of Markdown. */
  readonly line: string;
}

interface Section extends Omit<Found, "line"> {
  readonly title: string;
  /** Without marks of Markdown, but with those of tables. */
  body: string;
}

/** A section as it is searched. */
interface Searched {
  /** Title, heading and body as one line in lower case. */
  readonly text: string;
  /** A {@link Section}, read when it is found. */
  readonly json: string;
}

/** Characters of a search that are read. */
export const MAX_QUERY = 100;
const MAX_WORDS = 8;
const LINE_LENGTH = 160;
/** How much a section counts for a word in the page's title, in its heading and in its text, where it may begin a word. */
const WEIGHT = { title: 8, heading: 12, phrase: 6, begins: 4, often: 3 } as const;
/** The changelog and reasons mention every word: they come last. */
const OF_LESS_USE = /^(changelog|decisions|promises|coming-from)/;

/** The words of a search, in lower case. */
export function wordsOf(query: string): string[] {
  const words = query.slice(0, MAX_QUERY).toLowerCase().split(/\s+/);
  return [...new Set(words.filter((word) => word !== ""))].slice(0, MAX_WORDS);
}

let sections: Promise<readonly Searched[]> | undefined;

/**
 * The sections of docs that have all words, in any case, the best first. @param limit sections at
 * most
 */
export async function searchManual(query: string, limit = Number.POSITIVE_INFINITY): Promise<Found[]> {
  const words = wordsOf(query);
  if (words.length === 0) return [];
  sections ??= readSections();
  return (await sections)
    .filter(({ text }) => words.every((word) => text.includes(word)))
    .map(({ text, json }) => {
      const section = JSON.parse(json) as Section;
      return [section, scoreOf(section, text, words)] as const;
    })
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, limit)
    .map(([{ topic, heading, anchor, body }]) => ({ topic, heading, anchor, line: bestLine(linesOf(body), words) }));
}

/** The executable has the sections in a file: to make them of the pages was most of the first search. */
async function readSections(): Promise<readonly Searched[]> {
  if (executablePath() === null) return makeSections();
  const lines = readAsset("web/manual-sections.txt", "").toString("utf8").split("\n");
  const all: Searched[] = [];
  for (let i = 0; i + 1 < lines.length; i += 2) all.push({ text: lines[i] ?? "", json: lines[i + 1] ?? "" });
  return all;
}

/** The file of the sections, two lines each; made by the build. */
export async function manualSections(): Promise<string> {
  return (await makeSections()).map(({ text, json }) => `${text}\n${json}`).join("\n");
}

/** Reads one page in each turn of the event loop. */
async function makeSections(): Promise<readonly Searched[]> {
  const all: Searched[] = [];
  for (const topic of readingOrder().filter((name) => name !== INDEX)) {
    all.push(...sectionsOf(topic).map(searched));
    await turn();
  }
  return all;
}

function searched(section: Section): Searched {
  const text = ` ${section.title} ${section.heading} ${section.body}`.replaceAll(/\s+/g, " ").toLowerCase();
  return { text, json: JSON.stringify(section) };
}

const FENCE = /^```.*$/m;
const HEADING = /^(#+) (.+)$/m;
/** Lines without words: those below the heads of tables, and comments. */
const NO_WORDS = /^(?:[|:\- \t]+|<!--.*)$/gm;

function sectionsOf(topic: string): Section[] {
  const markdown = readPage(topic) ?? "";
  const title = headingOf(topic, markdown);
  const anchorOf = anchors();
  let section: Section = { topic, title, heading: title, anchor: "", body: "" };
  const found = [section];
  for (const [index, part] of markdown.split(FENCE).entries()) {
    const isCode = index % 2 === 1;
    const [before = "", ...pieces] = isCode ? [part] : plainText(part).split(HEADING);
    section.body += before;
    for (let i = 0; i < pieces.length; i += 3) {
      const [marks, heading = "", body = ""] = pieces.slice(i, i + 3);
      const anchor = anchorOf(heading);
      if (marks === "#") section.body += body;
      else {
        section = { topic, title, heading, anchor, body };
        found.push(section);
      }
    }
  }
  for (const each of found) each.body = each.body.replaceAll(NO_WORDS, "");
  return found;
}

/** The lines as the page shows them; the cells of a table's row are apart. */
function linesOf(body: string): string[] {
  return body
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => (line.startsWith("|") ? cellsOf(line) : line).trim());
}

function cellsOf(row: string): string {
  return row.replaceAll(/^\| *| *\|$/g, "").replaceAll(/ *(?<!\\)\| */g, " – ");
}

function scoreOf({ topic, title, heading }: Section, text: string, words: readonly string[]): number {
  let score = words.length > 1 && text.includes(words.join(" ")) ? WEIGHT.phrase : 0;
  for (const word of words) {
    if (title.toLowerCase().includes(word)) score += WEIGHT.title;
    if (heading.toLowerCase().includes(word)) score += WEIGHT.heading;
    if (text.includes(` ${word}`)) score += WEIGHT.begins;
    score += Math.min(WEIGHT.often, text.split(word, WEIGHT.often + 1).length - 1);
  }
  return OF_LESS_USE.test(topic) ? score / 4 : score;
}

function bestLine(lines: readonly string[], words: readonly string[]): string {
  const hits = (line: string) => {
    const lower = line.toLowerCase();
    return words.filter((word) => lower.includes(word)).length + Number(lower.includes(words.join(" ")));
  };
  const best = lines.reduce((a, b) => (hits(b) > hits(a) ? b : a), lines[0] ?? "");
  const at = Math.max(0, best.toLowerCase().indexOf(words.find((word) => best.toLowerCase().includes(word)) ?? ""));
  const from = best.length <= LINE_LENGTH ? 0 : Math.max(0, at - LINE_LENGTH / 2);
  const to = from + LINE_LENGTH;
  return `${from > 0 ? "…" : ""}${best.slice(from, to)}${to < best.length ? "…" : ""}`;
}
