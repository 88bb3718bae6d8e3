import { readCard } from "./cards.ts";
import { readKnown } from "./known-senders.ts";
import type { Preset } from "./presets.ts";
import { type Content, requireFewMembers } from "./read-request.ts";

type Json = Readonly<Record<string, unknown>>;

/** What is read of a chat message: the values of `parsed`. */
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

/** What the hook of a preset makes of a request: `parsed` of its mapping. */
export function parsedBy(hook: Preset["hook"], { body, text }: Content, maxMembers: number): unknown {
  switch (hook) {
    case "slack":
      return slackMessage(objectOf(body) ?? { text });
    case "discord":
      return discordMessage(objectOf(body) ?? { content: text });
    case "sns":
      return snsContent(objectOf(body), maxMembers);
    case "known":
      return readCard(body) ?? readKnown(body);
    default:
      return null;
  }
}

/** A notification's text, as JSON if it is. */
function snsContent(body: Json | null, maxMembers: number): unknown {
  const message = textIn(body, "Message");
  if (message === null) return null;
  requireFewMembers(message, maxMembers);
  try {
    return JSON.parse(message) as unknown;
  } catch {
    return message;
  }
}

const MAX_BLOCKS = 100;

function slackMessage(body: Json): ChatMessage {
  const attachments = listIn(body, "attachments");
  const [first = {}] = attachments;
  const blocks = [...listIn(body, "blocks"), ...attachments.flatMap((each) => listIn(each, "blocks"))];
  const header = blocks.find((block) => block["type"] === "header");
  const texts = [
    textIn(body, "text"),
    ...blocks.filter((block) => block !== header).map(blockText),
    ...attachments.flatMap((each) => [textIn(each, "pretext"), textIn(each, "text") ?? textIn(each, "fallback")]),
  ].flatMap((text) => (text === null ? [] : plainSlackText(text)));
  const lines = texts.join("\n").split("\n");
  const title = textIn(first, "title") ?? textIn(objectOf(header?.["text"]), "text");
  const color = textIn(first, "color");
  const given = [textIn(body, "text"), ...blocks.map(blockText), ...attachments.map((each) => textIn(each, "text"))];
  const link = textIn(first, "title_link") ?? given.flatMap(linkIn)[0] ?? buttonUrl(blocks);
  return {
    title: title === null ? (lines[0] ?? null) : plainSlackText(title),
    message: texts.join("\n") || null,
    link,
    level: levelOf(color),
    color,
    author: textIn(body, "username"),
    fields: fieldsOf(
      attachments.flatMap((each) => listIn(each, "fields")),
      "title",
      "value",
      plainSlackText,
    ),
  };
}

function blockText(block: Json): string | null {
  const parts = [objectOf(block["text"]), ...listIn(block, "fields"), ...listIn(block, "elements")];
  const texts = parts.flatMap((part) => textIn(part, "text") ?? []);
  return texts.length === 0 ? null : texts.join("\n");
}

/** The first link of a text in Slack's form. */
function linkIn(text: string | null): string[] {
  const url = /<(https?:[^|>\s]+)[|>]/.exec(text ?? "")?.[1];
  return url === undefined ? [] : [url];
}

function buttonUrl(blocks: readonly Json[]): string | null {
  const buttons = blocks.flatMap((block) => [...listIn(block, "elements"), objectOf(block["accessory"])]);
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

function discordMessage(body: Json): ChatMessage {
  const embeds = listIn(body, "embeds");
  const [first = {}] = embeds;
  const content = textIn(body, "content");
  const texts = [content, ...embeds.flatMap((each) => [textIn(each, "description")])].flatMap((text) => text ?? []);
  const number = first["color"];
  const color = typeof number === "number" ? `#${number.toString(16).padStart(6, "0")}` : null;
  return {
    title: textIn(first, "title") ?? textIn(body, "thread_name") ?? content?.split("\n")[0] ?? texts[0] ?? null,
    message: texts.join("\n") || null,
    link: textIn(first, "url"),
    level: levelOf(color),
    color,
    author: textIn(body, "username") ?? textIn(objectOf(first["author"]), "name"),
    fields: fieldsOf(
      embeds.flatMap((each) => listIn(each, "fields")),
      "name",
      "value",
      (text) => text,
    ),
  };
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
  if (r > 150 && g < 110 && b < 130) return "error";
  if (r > 180 && g >= 110 && b < 120) return "warning";
  return g > r && g > b ? "info" : null;
}

function fieldsOf(fields: readonly Json[], name: string, value: string, plain: (text: string) => string) {
  const entries = fields.flatMap((field): [string, string][] => {
    const [key, text] = [textIn(field, name), textIn(field, value)];
    return key === null || text === null ? [] : [[plain(key), plain(text)]];
  });
  return Object.fromEntries(entries);
}

function objectOf(value: unknown): Json | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : null;
}

function listIn(object: Json | null, name: string): readonly Json[] {
  const value = object?.[name];
  if (!Array.isArray(value)) return [];
  return value.slice(0, MAX_BLOCKS).flatMap((each: unknown): readonly Json[] => {
    const found = objectOf(each);
    return found ? [found] : [];
  });
}

function textIn(object: Json | null | undefined, name: string): string | null {
  const value = object?.[name];
  return typeof value === "string" && value.trim() !== "" ? value : null;
}
