import { type Members, objectOf, objectsIn, textIn } from "../../../../core/text/members.ts";
import { withoutFiringMark } from "../../../../core/text/plain-text.ts";

/** Values of `parsed` for a chat message. */
interface ChatMessage {
  readonly title: string | null;
  readonly message: string | null;
  readonly link: string | null;
  /** error, warning or info, by the color. */
  readonly level: string | null;
  readonly color: string | null;
  readonly author: string | null;
  readonly fields: Readonly<Record<string, string>>;
}

/** A message for an incoming webhook of Slack. */
export function slackMessage(body: Members): ChatMessage {
  const attachments = objectsIn(body, "attachments");
  const [first = {}] = attachments;
  const blocks = [...objectsIn(body, "blocks"), ...attachments.flatMap((each) => objectsIn(each, "blocks"))];
  const header = blocks.find((block) => block["type"] === "header");
  const texts = [
    textIn(body, "text"),
    ...blocks.filter((block) => block !== header).map(blockText),
    ...attachments.flatMap((each) => [textIn(each, "pretext"), textIn(each, "text") ?? textIn(each, "fallback")]),
  ].flatMap((text) => (text === null ? [] : plainSlackText(text)));
  const lines = texts.join("\n").split("\n");
  const given = textIn(first, "title") ?? textIn(objectOf(header?.["text"]), "text");
  const title = given === null ? (lines[0] ?? null) : plainSlackText(given);
  const color = textIn(first, "color");
  const raw = [textIn(body, "text"), ...blocks.map(blockText), ...attachments.map((each) => textIn(each, "text"))];
  const link = textIn(first, "title_link") ?? raw.flatMap(linkIn)[0] ?? buttonUrl(blocks);
  return {
    title: title === null ? null : withoutFiringMark(title),
    message: withoutFiringMark(texts.join("\n")) || null,
    link,
    level: levelBy(color, title),
    color,
    author: textIn(body, "username"),
    fields: fieldsOf(
      attachments.flatMap((each) => objectsIn(each, "fields")),
      "title",
      "value",
      plainSlackText,
    ),
  };
}

function blockText(block: Members): string | null {
  const parts = [objectOf(block["text"]), ...objectsIn(block, "fields"), ...objectsIn(block, "elements")];
  const texts = parts.flatMap((part) => textIn(part, "text") ?? []);
  return texts.length === 0 ? null : texts.join("\n");
}

/** The first link of a text in Slack's form. */
function linkIn(text: string | null): string[] {
  const url = /<(https?:[^|>\s]+)[|>]/.exec(text ?? "")?.[1];
  return url === undefined ? [] : [url];
}

function buttonUrl(blocks: readonly Members[]): string | null {
  const buttons = blocks.flatMap((block) => [...objectsIn(block, "elements"), objectOf(block["accessory"])]);
  return buttons.map((button) => textIn(button, "url")).find((url) => url !== null) ?? null;
}

/** Slack's text form without its markup: links by their labels, mentions by their names. */
function plainSlackText(text: string): string {
  return text
    .replace(/<(?:https?:|mailto:|tel:)[^|>\s]*\|([^>]*)>/g, "$1")
    .replace(/<((?:https?:|mailto:|tel:)[^|>\s]*)>/g, "$1")
    .replace(/<[!@#][^|>\s]*\|([^>]*)>/g, "$1")
    .replace(/<!(\w+)>/g, "@$1")
    .replace(/<[@#](\w+)>/g, "@$1")
    .replace(/(^|[\s(])([*_~`])(?=\S)([^\n*_~`]+)\2(?=$|[\s).,:;!?])/gm, "$1$3")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

/** A message for a webhook of Discord. @param files without an embed, their names are its text */
export function discordMessage(body: Members, files: readonly { readonly filename: string }[]): ChatMessage {
  const embeds = objectsIn(body, "embeds");
  const [first = {}] = embeds;
  // A message of files only says their names.
  const names = embeds.length > 0 ? [] : files.map(({ filename }) => filename);
  const content = textIn(body, "content") ?? (names.join("\n") || null);
  const texts = [content, ...embeds.flatMap((each) => [textIn(each, "description")])].flatMap((text) => text ?? []);
  const number = first["color"];
  const color = typeof number === "number" ? `#${number.toString(16).padStart(6, "0")}` : null;
  const title = textIn(first, "title") ?? textIn(body, "thread_name") ?? content?.split("\n")[0] ?? texts[0] ?? null;
  return {
    title: title === null ? null : withoutFiringMark(title),
    message: withoutFiringMark(texts.join("\n")) || null,
    link: textIn(first, "url"),
    level: levelBy(color, title),
    color,
    author: textIn(body, "username") ?? textIn(objectOf(first["author"]), "name"),
    fields: fieldsOf(
      embeds.flatMap((each) => objectsIn(each, "fields")),
      "name",
      "value",
      (text) => text,
    ),
  };
}

/** Alertmanager's and Grafana's titles end with the values of labels: `DiskFull (db-1 critical)`. */
const BRACKETS = /\[[^[\]]{1,200}\]|\([^()]{1,200}\)/g;

/** The severity in brackets of a title counts more than the color of a problem, which many programs have one of. */
export function levelBy(color: string | null, title: string | null): string | null {
  const level = levelOf(color);
  if (level !== "error" && level !== "warning") return level;
  const shown = (title ?? "").toLowerCase().match(BRACKETS)?.join(" ") ?? "";
  const words = shown.split(/[\s,()[\]]+/);
  return ["critical", "warning"].find((each) => words.includes(each)) ?? level;
}

const NAMED_COLORS: Readonly<Record<string, string>> = { danger: "error", warning: "warning", good: "info" };

/** Red is an error, orange and yellow a warning, green is good. */
function levelOf(color: string | null): string | null {
  if (color === null) return null;
  const named = NAMED_COLORS[color.toLowerCase()];
  if (named !== undefined) return named;
  const [, red, green, blue] = /^#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(color) ?? [];
  if (red === undefined || green === undefined || blue === undefined) return null;
  const [r, g, b] = [red, green, blue].map((part) => Number.parseInt(part, 16)) as [number, number, number];
  // The second is that of Alertmanager's cards.
  if ((r > 150 && g < 110 && b < 130) || (r > 120 && g < 60 && b < 60)) return "error";
  if (r > 180 && g >= 110 && b < 120) return "warning";
  return g > 1.25 * Math.max(r, b) ? "info" : null;
}

function fieldsOf(fields: readonly Members[], name: string, value: string, plain: (text: string) => string) {
  const entries = fields.flatMap((field): [string, string][] => {
    const [key, text] = [textIn(field, name), textIn(field, value)];
    return key === null || text === null ? [] : [[plain(key), plain(text)]];
  });
  return Object.fromEntries(entries);
}
