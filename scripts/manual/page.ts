import { Marked, type Tokens } from "marked";
import { escapeHtml } from "../../src/core/text/clean-text.ts";
import { linkedTopic, pathOf, readPage, type Topic, topics } from "../../src/features/health/status/manual.ts";
import { FOUND, MAX_QUERY, QUERY } from "../../src/features/health/status/manual-search.ts";
import { anchors, headingOf, imageNamed, plainText, readingOrder } from "./pages.ts";

const STYLE = "/docs/manual.css";
const SEARCH = "/docs/search";
/** Shorter pages need no list of their sections. */
const SECTIONS_LISTED = 4;

/** A page of docs/ as HTML: no script, no inline style, nothing from other sites. */
export function manualPage(topic: string, markdown = readPage(topic) ?? ""): string {
  const anchorOf = anchors();
  const sections: { readonly anchor: string; readonly title: string }[] = [];
  let title = "";
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }: Tokens.Heading) {
        const html = this.parser.parseInline(tokens);
        const plain = plainText(text);
        const anchor = anchorOf(plain);
        if (depth === 1 && title === "") title = plain;
        if (depth === 2) sections.push({ anchor, title: plain });
        return `<h${depth} id="${escapeHtml(anchor)}"><a href="#${escapeHtml(anchor)}">${html}</a></h${depth}>\n`;
      },
      link({ href, tokens }: Tokens.Link) {
        const html = this.parser.parseInline(tokens);
        const target = hrefOf(href, topic);
        return target === undefined ? html : `<a href="${escapeHtml(target)}">${html}</a>`;
      },
      image: ({ href, text }: Tokens.Image) => imageHtml(href, text, topic) ?? escapeHtml(text),
      html: ({ text }: Tokens.HTML | Tokens.Tag) =>
        text.trimStart().startsWith("<!--") ? "" : (pictureHtml(text, topic) ?? escapeHtml(text)),
    },
  });
  const body = marked.parse(markdown, { async: false }).replaceAll(/<\/?table>|<pre>|<th><\/th>/g, adapted);
  const main = body.replace("</h1>\n", () => `</h1>\n${sectionList(sections)}`);
  return frame({ title: title || "Prism", topic, main: main + neighbours(topic) });
}

/** The page of results, with marks where the server puts the query and what it found. */
export function searchPage(): string {
  return frame({ title: "Search", topic: "", main: `<h1>Search</h1>\n${FOUND}`, query: QUERY });
}

/** Links to the pages before and after this one. */
function neighbours(topic: string): string {
  const order = readingOrder();
  const at = order.indexOf(topic);
  const link = (name: string | undefined, rel: string) =>
    name === undefined ? "<span></span>" : `<a rel="${rel}" href="${pathOf(name)}">${escapeHtml(headingOf(name))}</a>`;
  return `<nav class="pages" aria-label="Previous and next page">${link(order[at - 1], "prev")}${link(order[at + 1], "next")}</nav>\n`;
}

/** The menu: the index by its headings, the one of this page open. */
function menu(topic: string): string {
  const current = topic.split("/", 1)[0];
  const all = topics();
  const parts = [...new Set(all.map(({ group }) => group))].map((group) => {
    const members = all.filter((each) => each.group === group);
    const isOpen = members.some(({ name }) => name === current);
    const items = members.map((each) => menuItem(each, current));
    return `<details${isOpen ? " open" : ""}><summary>${escapeHtml(group)}</summary><ul>${items.join("")}</ul></details>`;
  });
  return `<nav id="menu" popover aria-label="Documentation">
<button type="button" popovertarget="menu" popovertargetaction="hide">Close</button>
${parts.join("\n")}\n</nav>`;
}

function menuItem({ name, title }: Topic, current: string | undefined): string {
  const mark = name === current ? ' aria-current="page"' : "";
  return `<li><a href="${pathOf(name)}"${mark}>${escapeHtml(title)}</a></li>`;
}

/** @returns undefined for a file outside docs/images */
function imageHtml(href: string, text: string, from: string): string | undefined {
  const name = imageNamed(href, from);
  return name && `<img src="/docs/images/${name}" alt="${escapeHtml(text)}" loading="lazy">`;
}

/** An image for light and another for dark themes. */
const PICTURE =
  /^<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">\s*<img alt="([^"<>]*)"\s+src="([^"]+)">\s*<\/picture>\s*$/;

function pictureHtml(html: string, from: string): string | undefined {
  const [, dark = "", text = "", light = ""] = PICTURE.exec(html) ?? [];
  const name = imageNamed(dark, from);
  const image = imageHtml(light, text, from);
  if (name === undefined || image === undefined) return undefined;
  const source = `<source media="(prefers-color-scheme: dark)" srcset="/docs/images/${name}">`;
  return `<p><picture>${source}${image}</picture></p>\n`;
}

/** A wide table or block scrolls by itself on a narrow screen, by keyboard too, not the page. */
const ADAPTED: Readonly<Record<string, string>> = {
  "<table>": '<div class="table" tabindex="0"><table>',
  "</table>": "</table></div>",
  "<pre>": '<pre tabindex="0">',
  // A header without words is none.
  "<th></th>": "<td></td>",
};

function adapted(tag: string): string {
  return ADAPTED[tag] ?? tag;
}

function hrefOf(href: string, from: string): string | undefined {
  if (/^https?:/.test(href)) return href;
  const target = linkedTopic(href, from);
  if (!target) return undefined;
  return pathOf(target.topic, target.anchor);
}

function sectionList(sections: readonly { readonly anchor: string; readonly title: string }[]): string {
  if (sections.length < SECTIONS_LISTED) return "";
  const items = sections.map(
    ({ anchor, title }) => `<li><a href="#${escapeHtml(anchor)}">${escapeHtml(title)}</a></li>`,
  );
  return `<details><summary>On this page</summary><ul>${items.join("")}</ul></details>\n`;
}

interface Frame {
  readonly title: string;
  /** The page that the menu marks; empty for none. */
  readonly topic: string;
  readonly main: string;
  /** The value of the field, as HTML. */
  readonly query?: string;
}

/** A popover opens without a script; on a wide screen the menu stands beside the text. */
function frame({ title, topic, main, query = "" }: Frame): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}${title === "Prism" ? "" : " – Prism"}</title>
<link rel="stylesheet" href="${STYLE}">
<link rel="icon" href="data:,">
</head>
<body>
<a class="skip" href="#text">Skip to the text</a>
<header>
<button type="button" popovertarget="menu">Menu</button>
<nav aria-label="Site"><a href="/dashboard/">Console</a> <a href="/docs">Documentation</a> <a href="/docs/api">API</a></nav>
<form role="search" action="${SEARCH}">
<input type="search" name="q" aria-label="Search the documentation" placeholder="Search" maxlength="${MAX_QUERY}" value="${query}">
<button>Search</button>
</form>
</header>
<div class="page">
<main id="text">
${main}</main>
${menu(topic)}
</div>
</body>
</html>
`;
}
