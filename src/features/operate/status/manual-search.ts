import { setImmediate as turn } from "node:timers/promises";
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
  readonly lines: string[];
  /** Title, heading and lines, in lower case. */
  text: string;
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

let sections: Promise<readonly Section[]> | undefined;

/**
 * The sections of docs that have all words, in any case, the best first. The first search reads the
 * pages, one in each turn of the event loop; later ones read memory. @param limit sections at most
 */
export async function searchManual(query: string, limit = Number.POSITIVE_INFINITY): Promise<Found[]> {
  const words = wordsOf(query);
  if (words.length === 0) return [];
  sections ??= readSections();
  return (await sections)
    .filter(({ text }) => words.every((word) => text.includes(word)))
    .map((section) => [section, scoreOf(section, words)] as const)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, limit)
    .map(([{ topic, heading, anchor, lines }]) => ({ topic, heading, anchor, line: bestLine(lines, words) }));
}

async function readSections(): Promise<readonly Section[]> {
  const all: Section[] = [];
  for (const topic of readingOrder().filter((name) => name !== INDEX)) {
    all.push(...sectionsOf(topic));
    await turn();
  }
  return all;
}

function sectionsOf(topic: string): Section[] {
  const title = headingOf(topic);
  const anchorOf = anchors();
  let section: Section = { topic, title, heading: title, anchor: "", lines: [], text: "" };
  const found = [section];
  let isCode = false;
  for (const line of readPage(topic)?.split("\n") ?? []) {
    if (line.startsWith("```")) isCode = !isCode;
    const [, marks = "", words = ""] = (!isCode && /^(#+) (.+)$/.exec(line)) || [];
    if (words !== "") {
      const heading = plainText(words);
      const anchor = anchorOf(heading);
      if (marks === "#") continue;
      section = { topic, title, heading, anchor, lines: [], text: "" };
      found.push(section);
    } else if (!/^(```|<!--|\s*$|[|\s:-]+$)/.test(line)) section.lines.push(isCode ? line.trim() : shown(line));
  }
  for (const each of found) each.text = ` ${[each.title, each.heading, ...each.lines].join(" ")}`.toLowerCase();
  return found;
}

/** A line as the page shows it; the cells of a table's row are apart. */
function shown(line: string): string {
  const row = line.startsWith("|") ? line.replaceAll(/^\| *| *\|$/g, "").replaceAll(/ *(?<!\\)\| */g, " – ") : line;
  return plainText(row).trim();
}

function scoreOf({ topic, title, heading, text }: Section, words: readonly string[]): number {
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
