import { escapeHtml } from "../../../core/text/clean-text.ts";

export interface Link {
  readonly url: string;
  readonly label: string;
}

interface Page {
  readonly title: string;
  /** Plain text; empty lines separate paragraphs. */
  readonly text: string;
  /** The first one is shown as a button. */
  readonly links?: readonly Link[];
  /** Color of the bar beside the title, readable on white and on black. */
  readonly color?: string;
}

const FONT = "font-family: system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif";
const BUTTON =
  "display: inline-block; padding: 8px 16px; border: 1px solid; border-radius: 6px; text-decoration: none; " +
  "font-weight: 600";
const BAR_COLOR = "#7a828c";

/**
 * One column without images and network. Text and background have the mail program's own colors,
 * so that light and dark are both right; each paragraph has the direction of its own text.
 */
export function mailHtml({ title, text, links = [], color = BAR_COLOR }: Page): string {
  const [first, ...others] = links.map(anchorOf);
  const paragraphs = text
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) => `<p dir="auto" style="margin: 0 0 14px">${linked(paragraph)}</p>`)
    .join("\n");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">
<style>:root { color-scheme: light dark }</style>
<title>${escapeHtml(title)}</title></head>
<body style="margin: 0; padding: 16px; overflow-wrap: anywhere; font-size: 15px; line-height: 1.45; ${FONT}">
<div style="max-width: 600px; margin: 0 auto">
<h1 dir="auto" style="margin: 0 0 16px; padding-inline-start: 12px; border-inline-start: 4px solid ${color}; \
font-size: 19px; line-height: 1.3">${escapeHtml(title)}</h1>
${paragraphs}${first === undefined ? "" : `\n<p style="margin: 20px 0 14px">${first(BUTTON)}</p>`}\
${others.map((anchor) => `\n<p style="margin: 0 0 14px">${anchor("")}</p>`).join("")}
</div>
</body></html>
`;
}

function anchorOf({ url, label }: Link): (style: string) => string {
  return (style) =>
    `<a href="${escapeHtml(url)}"${style === "" ? "" : ` style="${style}"`} dir="auto">${escapeHtml(label)}</a>`;
}

const URL_IN_TEXT = /https?:\/\/[^\s<>"'`]{1,2000}/g;
/** Punctuation after a URL belongs to the sentence. */
const TRAILING = /[.,;:!?)\]]+$/;

/** The text with its URLs as links. A link always shows its own target. */
function linked(text: string): string {
  let html = "";
  let end = 0;
  for (const { 0: found, index } of text.matchAll(URL_IN_TEXT)) {
    const url = found.replace(TRAILING, "");
    html += `${lines(text.slice(end, index))}<a href="${escapeHtml(url)}">${escapeHtml(url)}</a>`;
    end = index + url.length;
  }
  return html + lines(text.slice(end));
}

function lines(text: string): string {
  return escapeHtml(text).replaceAll("\n", "<br>\n");
}
