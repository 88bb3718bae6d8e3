/** Elements after which a line ends. */
const BLOCK_ENDS = /^<(?:br|\/p|\/div|\/li|\/tr|\/table|\/h[1-6]|hr)\b/i;
const CELL_ENDS = /^<\/t[dh]\b/i;
const TAGS = /<[^<>]*>/g;
const REFERENCES = /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));/gi;
const NAMED: ReadonlyMap<string, string> = new Map([
  ...([
    ["amp", "&"],
    ["lt", "<"],
    ["gt", ">"],
    ["quot", '"'],
    ["apos", "'"],
    ["nbsp", " "],
  ] as const),
  ...([
    ["ndash", "–"],
    ["mdash", "—"],
    ["hellip", "…"],
    ["bull", "•"],
    ["middot", "·"],
    ["deg", "°"],
  ] as const),
  ...([
    ["lsquo", "‘"],
    ["rsquo", "’"],
    ["ldquo", "“"],
    ["rdquo", "”"],
    ["euro", "€"],
    ["copy", "©"],
  ] as const),
  ...([
    ["auml", "ä"],
    ["ouml", "ö"],
    ["uuml", "ü"],
    ["szlig", "ß"],
  ] as const),
  ...([
    ["Auml", "Ä"],
    ["Ouml", "Ö"],
    ["Uuml", "Ü"],
    ["eacute", "é"],
    ["egrave", "è"],
    ["agrave", "à"],
  ] as const),
]);
/** Elements that readers do not see: their content is no text. */
const HIDDEN = /<(?:(style|script|title|template)\b[^<>]*>|!--)/gi;
const MAX_LINK = 2000;

interface Options {
  /** Whether the target of a link follows its text: `report <https://…>`. */
  readonly withLinks?: boolean;
}

/** Text of HTML: without tags, style sheets and scripts, with line breaks for blocks. Takes linear time. */
export function plainText(html: string, { withLinks = false }: Options = {}): string {
  return withoutGaps(withReferences(shownText(withoutHidden(html), TAGS, withLinks)));
}

/**
 * Elements for the look of a text. All others, such as a script in a report about an attack, are what
 * the text says.
 */
const FORMATTING =
  "a|b|big|blockquote|br|center|code|dd|del|div|dl|dt|em|font|h[1-6]|hr|i|ins|li|mark|ol|p|pre|s|small|span|strike|" +
  "strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul";
const FORMATTING_TAGS = new RegExp(`</?(?:${FORMATTING})(?:\\s[^<>]*)?/?>`, "gi");
/** A text with `<br>` or an end tag, or that begins with a tag, is HTML; `expected <p>` is not. */
const IS_FORMATTED = new RegExp(`<br\\s*/?>|</(?:${FORMATTING})\\s*>|^\\s*<(?:${FORMATTING})(?:\\s[^<>]*)?>`, "i");

/** A text of a stranger, which may be HTML, as plain text. Takes linear time. */
export function withoutMarkup(text: string, { withLinks = false }: Options = {}): string {
  if (!text.includes("<")) return text.includes("&") ? withReferences(text) : text;
  if (!IS_FORMATTED.test(text)) return withReferences(text);
  // A line of the source that a `<br>` ends is one line.
  const html = text.replace(/(<br\s*\/?>)[^\S\n]*\n/gi, "$1");
  return withoutGaps(withReferences(shownText(html, FORMATTING_TAGS, withLinks)));
}

/** `[FIRING:1] `, `[RESOLVED] `, `[FIRING:2, RESOLVED:1] `, as Alertmanager and Grafana title their messages. */
const MARK =
  /^[^\p{L}\p{N}[]{0,4}\[(?:FIRING|RESOLVED)(?::\s?\d{1,6})?(?:,\s?(?:FIRING|RESOLVED)(?::\s?\d{1,6})?){0,3}\]\s*/iu;

const FIRES = /^[^[]{0,4}\[FIRING\b/i;

/** The title of an alert, which has a state of its own, without the sender's mark for the state of the first message. */
export function withoutStateMark(title: string): string {
  return title.replace(MARK, "") || title;
}

/** The title of a message, without a mark that something fires: that it is over must be read. */
export function withoutFiringMark(title: string): string {
  return FIRES.test(title) ? withoutStateMark(title) : title;
}

function withReferences(text: string): string {
  return text.replace(REFERENCES, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED.get(name) ?? NAMED.get(name.toLowerCase()) ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

function withoutGaps(text: string): string {
  return text
    .replace(/[^\S\n]+/g, " ")
    .replace(/ ?\n ?/g, "\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

function withoutHidden(html: string): string {
  const ends = new Map<string, RegExp>();
  const parts: string[] = [];
  let at = 0;
  for (const match of html.matchAll(HIDDEN)) {
    if (match.index < at) continue;
    const name = match[1]?.toLowerCase() ?? "";
    const end = ends.get(name) ?? new RegExp(name === "" ? "-->" : `</${name}\\s*>`, "gi");
    ends.set(name, end);
    // None was found before: there is none further on, and what follows is shown.
    if (end.lastIndex < 0) continue;
    end.lastIndex = match.index + match[0].length;
    if (!end.test(html)) {
      end.lastIndex = -1;
      continue;
    }
    parts.push(html.slice(at, match.index));
    at = end.lastIndex;
  }
  parts.push(html.slice(at));
  return parts.join(" ");
}

function shownText(html: string, tags: RegExp, withLinks: boolean): string {
  let link: { readonly url: string; readonly from: number } | null = null;
  return html.replace(tags, (tag, at: number) => {
    if (BLOCK_ENDS.test(tag)) return "\n";
    if (CELL_ENDS.test(tag)) return " ";
    if (!withLinks) return "";
    if (/^<a\b/i.test(tag)) link = { url: targetOf(tag), from: at + tag.length };
    if (link === null || !/^<\/a\b/i.test(tag)) return "";
    const { url, from } = link;
    link = null;
    const text = html.slice(from, at).replace(TAGS, "").trim();
    return url === "" || text.replace(/\/$/, "") === url.replace(/\/$/, "") ? "" : ` <${url}>`;
  });
}

/** The web or mail address that a link opens; empty for any other. */
function targetOf(tag: string): string {
  const [, double, single, bare] = /\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(tag) ?? [];
  const url = (double ?? single ?? bare ?? "").trim();
  return /^(?:https?:|mailto:)\S+$/i.test(url) && url.length <= MAX_LINK ? url : "";
}

const PAGE_START =
  /^\s*(?:<\?xml[^>]{0,200}\?>\s*|<!--(?:(?!-->)[\s\S]){0,1000}-->\s*)*<(?:!doctype\s+html|html|head|body)\b/i;
const MAX_PAGE = 16_384;
const MAX_WORDS = 80;

/**
 * The first words of a page in place of another answer, as proxies, captive portals and logins send
 * it; null for any other body. Short texts that a script calls HTML, such as `ok`, are none.
 */
export function wordsOfPage(contentType: string, body: string): string | null {
  const start = body.slice(0, MAX_PAGE);
  const isPage = PAGE_START.test(start) || (/^text\/html\b/i.test(contentType.trim()) && /^\s*<[a-z!]/i.test(start));
  return isPage ? plainText(start).replace(/\s+/g, " ").trim().slice(0, MAX_WORDS) : null;
}
