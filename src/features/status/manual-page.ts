import { Marked, type Tokens } from "marked";
import { escapeHtml } from "../../core/clean-text.ts";
import { anchors, INDEX, imageNamed, linkedTopic } from "./manual.ts";

const STYLE = "/docs/manual.css";
/** Shorter pages need no list of their sections. */
const SECTIONS_LISTED = 4;

/** A page of docs/ as HTML: no script, no inline style, nothing from other sites. */
export function manualPage(topic: string, markdown: string): string {
  const anchorOf = anchors();
  const sections: { readonly anchor: string; readonly title: string }[] = [];
  let title = "";
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }: Tokens.Heading) {
        const html = this.parser.parseInline(tokens);
        const plain = text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[`*]/g, "");
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
  const body = marked.parse(markdown, { async: false }).replaceAll(/<table>|<\/table>/g, (tag) => scrolled(tag));
  return frame(
    title || "Prism",
    body.replace("</h1>\n", () => `</h1>\n${sectionList(sections)}`),
  );
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

/** A wide table scrolls by itself on a narrow screen, not the page. */
function scrolled(tag: string): string {
  return tag === "<table>" ? '<div class="table"><table>' : "</table></div>";
}

function hrefOf(href: string, from: string): string | undefined {
  if (/^https?:/.test(href)) return href;
  const target = linkedTopic(href, from);
  if (!target) return undefined;
  const path = target.topic === INDEX ? "/docs" : `/docs/${target.topic}`;
  return target.anchor === "" ? path : `${path}#${target.anchor}`;
}

function sectionList(sections: readonly { readonly anchor: string; readonly title: string }[]): string {
  if (sections.length < SECTIONS_LISTED) return "";
  const items = sections.map(
    ({ anchor, title }) => `<li><a href="#${escapeHtml(anchor)}">${escapeHtml(title)}</a></li>`,
  );
  return `<details><summary>On this page</summary><ul>${items.join("")}</ul></details>\n`;
}

function frame(title: string, main: string): string {
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
<nav><a href="/dashboard/">Console</a> <a href="/docs">Documentation</a> <a href="/docs/api">API</a></nav>
<main>
${main}</main>
</body>
</html>
`;
}
