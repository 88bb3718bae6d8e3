import { marked, type Token, type Tokens } from "marked";

interface MarkdownStyle {
  /** Columns of a line. */
  readonly width: number;
  bold(text: string): string;
  dim(text: string): string;
  /** Text after a link, such as its address; empty for none. */
  linkNote(href: string): string;
}

const INDENT = "    ";
const BULLET = "- ";
const COLUMN_GAP = 2;
/** Minimum width of a table column, or the length of its longest cell. */
const MIN_COLUMN = 12;

/** Renders Markdown for a terminal, without a final blank line. */
export function renderMarkdown(markdown: string, style: MarkdownStyle): string {
  return blocks(marked.lexer(markdown), style, style.width).join("\n\n");
}

/** Each block as lines joined by a newline. */
function blocks(tokens: readonly Token[], style: MarkdownStyle, width: number): string[] {
  return tokens.map((token) => block(token as Tokens.Generic, style, width)).filter((text) => text !== "");
}

function block(token: Tokens.Generic, style: MarkdownStyle, width: number): string {
  switch (token.type) {
    case "heading":
      return heading(token as Tokens.Heading, style, width);
    case "code":
      return indented(String(token["text"]), INDENT);
    case "list":
      return list(token as Tokens.List, style, width);
    case "table":
      return table(token as Tokens.Table, style, width);
    case "blockquote":
      return indented(blocks(token.tokens ?? [], style, width - 2).join("\n\n"), "> ");
    case "hr":
      return "-".repeat(width);
    case "paragraph":
    case "text":
      return wrap(inline(token.tokens ?? [token], style), width).join("\n");
    default:
      return "";
  }
}

function heading({ depth, tokens }: Tokens.Heading, style: MarkdownStyle, width: number): string {
  const lines = wrap(inline(tokens, style), width);
  const rule = (depth === 1 ? "=" : "-").repeat(Math.max(...lines.map(visibleLength)));
  return [...lines.map((line) => style.bold(line)), ...(depth <= 2 ? [rule] : [])].join("\n");
}

function list({ items, ordered, start, loose }: Tokens.List, style: MarkdownStyle, width: number): string {
  const texts = items.map((item, index) => {
    const sign = ordered ? `${Number(start) + index}. ` : BULLET;
    const body = blocks(item.tokens, style, width - sign.length).join(loose ? "\n\n" : "\n");
    return sign + indented(body, " ".repeat(sign.length)).slice(sign.length);
  });
  return texts.join(loose ? "\n\n" : "\n");
}

/** Renders columns with wrapped cells, or records if the columns would be too narrow. */
function table({ header, rows }: Tokens.Table, style: MarkdownStyle, width: number): string {
  const titles = header.map((cell) => inline(cell.tokens, style));
  const cells = rows.map((row) => row.map((cell) => inline(cell.tokens, style)));
  const hasTitles = titles.some((title) => title !== "");
  const widths = columnWidths(hasTitles ? [titles, ...cells] : cells, width);
  if (!widths) return cells.map((row) => record(titles, row, style, width)).join("\n\n");
  const lines = cells.flatMap((row) => rowLines(row, widths));
  if (!hasTitles) return lines.join("\n");
  const underline = widths.map((size) => "-".repeat(size)).join(" ".repeat(COLUMN_GAP));
  return [...rowLines(titles, widths).map((line) => style.bold(line)), style.dim(underline), ...lines].join("\n");
}

/**
 * @returns the natural widths if they fit; otherwise the widest columns shrink. Undefined if a word
 * would not fit its column.
 */
function columnWidths(rows: readonly (readonly string[])[], width: number): number[] | undefined {
  const columns = rows[0]?.map((_, column) => rows.map((row) => row[column] ?? "")) ?? [];
  const widths = columns.map((cells) => Math.max(1, ...cells.map(visibleLength)));
  const longest = columns.map((cells) =>
    Math.max(1, ...cells.flatMap((cell) => cell.split(" ").map((word) => visibleLength(word)))),
  );
  const least = widths.map((natural, column) => Math.min(natural, Math.max(MIN_COLUMN, longest[column] ?? 1)));
  const room = width - COLUMN_GAP * (widths.length - 1);
  if (sum(least) > room) return undefined;
  while (sum(widths) > room) {
    const slack = widths.map((size, column) => (size > (least[column] ?? 0) ? size : 0));
    const widest = slack.indexOf(Math.max(...slack));
    widths[widest] = (widths[widest] ?? 1) - 1;
  }
  return widths;
}

function rowLines(cells: readonly string[], widths: readonly number[]): string[] {
  const wrapped = cells.map((cell, column) => wrap(cell, widths[column] ?? 1));
  const height = Math.max(...wrapped.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    wrapped
      .map((lines, column) => padded(lines[line] ?? "", widths[column] ?? 1))
      .join(" ".repeat(COLUMN_GAP))
      .trimEnd(),
  );
}

/** A row of a table that is too wide: its first cell, then the others below it. */
function record(
  titles: readonly string[],
  [first = "", ...rest]: readonly string[],
  style: MarkdownStyle,
  width: number,
): string {
  const lines = rest.flatMap((cell, index) => {
    const title = titles[index + 1] ?? "";
    return cell === "" ? [] : wrap(title === "" ? cell : `${title}: ${cell}`, width - INDENT.length);
  });
  return [...wrap(first, width).map((line) => style.bold(line)), ...lines.map((line) => INDENT + line)].join("\n");
}

function inline(tokens: readonly Token[], style: MarkdownStyle): string {
  return tokens.map((token) => inlineText(token as Tokens.Generic, style)).join("");
}

function inlineText(token: Tokens.Generic, style: MarkdownStyle): string {
  switch (token.type) {
    case "strong":
      return style.bold(inline(token.tokens ?? [], style));
    case "em":
      return inline(token.tokens ?? [], style);
    case "codespan":
      return String(token["text"]);
    case "link": {
      const text = inline(token.tokens ?? [], style);
      const note = style.linkNote(String(token["href"]));
      return note === "" || text.includes(note) ? text : `${text} [${note}]`;
    }
    case "br":
      return " ";
    case "html":
      return "";
    default:
      return token.tokens ? inline(token.tokens, style) : unescaped(String(token["text"] ?? ""));
  }
}

/** The lexer keeps HTML entities. */
function unescaped(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}

/** Lines of at most `width` columns; a longer word has its own line. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    if (line !== "" && visibleLength(line) + 1 + visibleLength(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function indented(text: string, by: string): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? "" : by + line))
    .join("\n");
}

function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - visibleLength(text)));
}

const ESCAPE = "\u001b";

/** Width of a text without style sequences such as ESC[1m. */
function visibleLength(text: string): number {
  const [plain = "", ...styled] = text.split(ESCAPE);
  return sum([plain.length, ...styled.map((part) => part.length - part.indexOf("m") - 1)]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
