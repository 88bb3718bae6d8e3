import { readPage } from "../../src/features/health/status/manual.ts";
import type { Section } from "../../src/features/health/status/manual-search.ts";
import { anchors, headingOf, plainText, readingOrder } from "./pages.ts";

interface Draft extends Omit<Section, "lines"> {
  /** Without marks of Markdown, but with those of tables. */
  body: string;
}

/** What a search reads, two lines for each section: what is searched, and what is shown. */
export function manualSections(): string {
  return readingOrder()
    .flatMap(sectionsOf)
    .map(({ body, ...section }) => {
      const text = ` ${section.title} ${section.heading} ${body}`.replaceAll(/\s+/g, " ").toLowerCase();
      return `${text}\n${JSON.stringify({ ...section, lines: linesOf(body) } satisfies Section)}`;
    })
    .join("\n");
}

const FENCE = /^```.*$/m;
const HEADING = /^(#+) (.+)$/m;
/** Lines without words: those below the heads of tables, and comments. */
const NO_WORDS = /^(?:[|:\- \t]+|<!--.*)$/gm;

function sectionsOf(topic: string): Draft[] {
  const markdown = readPage(topic) ?? "";
  const title = headingOf(topic, markdown);
  const anchorOf = anchors();
  let section: Draft = { topic, title, heading: title, anchor: "", body: "" };
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
