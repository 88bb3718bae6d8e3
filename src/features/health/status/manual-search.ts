import { readAsset } from "../../../core/runtime.ts";
import { escapeHtml } from "../../../core/text/clean-text.ts";
import { pathOf } from "./manual.ts";

/** A section of a page that has all words of a search. */
export interface Found {
  readonly topic: string;
  /** The page's heading. */
  readonly title: string;
  /** The section's heading; of text before the first one, the page's. */
  readonly heading: string;
  /** The section's place on the page; empty: its start. */
  readonly anchor: string;
  /** The line with most of the words, without marks of Markdown. */
  readonly line: string;
}

/** As the build stores it. */
export interface Section extends Omit<Found, "line"> {
  /** As the page shows them. */
  readonly lines: readonly string[];
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
/** The page of results has these where the query and what was found belong. */
export const [QUERY, FOUND] = ["<!--query-->", "<!--found-->"] as const;
/** No topic has this name. */
const PAGE = "manual/_search.html";
const SECTIONS = "manual/sections.txt";
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

let sections: readonly Searched[] | undefined;

/**
 * The sections of docs that have all words, in any case, the best first. @param limit sections at
 * most
 */
export function searchManual(query: string, limit = Number.POSITIVE_INFINITY): Found[] {
  const words = wordsOf(query);
  if (words.length === 0) return [];
  sections ??= readSections();
  return sections
    .filter(({ text }) => words.every((word) => text.includes(word)))
    .map(({ text, json }) => {
      const section = JSON.parse(json) as Section;
      return [section, scoreOf(section, text, words)] as const;
    })
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, limit)
    .map(([{ lines, ...section }]) => ({ ...section, line: bestLine(lines, words) }));
}

/** What a search found, by page, as a page that needs no script. @param query as it was entered */
export function resultsPage(query: string, found: readonly Found[]): string {
  const pages = [...new Set(found.map(({ topic }) => topic))].map((topic) => {
    const ofPage = found.filter((each) => each.topic === topic);
    const items = ofPage.map(
      ({ anchor, heading, line }) =>
        `<li><a href="${escapeHtml(pathOf(topic, anchor))}">${escapeHtml(heading)}</a><br>${highlighted(line, query)}</li>`,
    );
    const title = escapeHtml(ofPage[0]?.title ?? topic);
    return `<h2><a href="${escapeHtml(pathOf(topic))}">${title}</a></h2><ul>${items.join("")}</ul>\n`;
  });
  const none = query === "" ? "Enter words to search for." : "No page has all of these words.";
  const results = pages.length > 0 ? pages.join("") : `<p>${none}</p>\n`;
  const page = readAsset(PAGE, `dist/${PAGE}`).toString("utf8");
  return page.replace(FOUND, () => results).replace(QUERY, () => escapeHtml(query));
}

/** The line with the words of the query marked. */
function highlighted(line: string, query: string): string {
  const words = wordsOf(query).map((word) => word.replaceAll(/[^\p{L}\p{N}]/gu, "\\$&"));
  const parts = words.length === 0 ? [line] : line.split(new RegExp(`(${words.join("|")})`, "iu"));
  return parts.map((part, at) => (at % 2 === 1 ? `<mark>${escapeHtml(part)}</mark>` : escapeHtml(part))).join("");
}

/** As the build wrote them, two lines each. */
function readSections(): readonly Searched[] {
  const lines = readAsset(SECTIONS, `dist/${SECTIONS}`).toString("utf8").split("\n");
  const all: Searched[] = [];
  for (let i = 0; i + 1 < lines.length; i += 2) all.push({ text: lines[i] ?? "", json: lines[i + 1] ?? "" });
  return all;
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
