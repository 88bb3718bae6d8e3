import { parseJsonWithin } from "../../../core/json-text.ts";
import { parseWithLongIntegers } from "../../../core/text/long-integer.ts";
import { withoutFiringMark, withoutMarkup } from "../../../core/text/plain-text.ts";
import { stateOf } from "../../../core/vocabulary.ts";
import type { LoadedPreset } from "./presets.ts";
import { type RequestContent, requireFewMembers } from "./read-request.ts";
import { readKnown } from "./senders/known.ts";
import { readByEnds, titleOf } from "./senders/unknown.ts";

type Json = Readonly<Record<string, unknown>>;

const MAX_DEPTH = 100;

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

/** Result of a preset's hook; mappings see it as `parsed`. */
export function parsedBy(
  hook: LoadedPreset["hook"],
  { body, text, files }: RequestContent,
  maxMembers: number,
): unknown {
  switch (hook) {
    case "slack":
      return slackMessage(objectOf(body) ?? { text });
    case "discord":
      return discordMessage(objectOf(body) ?? { content: text }, files);
    case "sns":
      return snsContent(objectOf(body), maxMembers);
    case "known":
      return readCard(body) ?? readKnown(body) ?? readPush(body) ?? hintsIn(body);
    default:
      return null;
  }
}

/** What helps a mapping that finds usual names only. A body that is read by these alone is not understood. */
function hintsIn(body: unknown): unknown {
  if (typeof body !== "object" || body === null) return null;
  const { what, word, state, reason, link, subject } = readByEnds(body);
  const said = ["status", "state", "current_state", "alert_state"].map((name) => textIn(objectOf(body), name));
  const given = said.find((each) => each !== null) ?? "";
  const hints = { word: state === null ? null : word, known: stateOf(given), reason, page: link, subject };
  return what !== null && IS_TEST.test(given) ? { ...hints, title: `Test: ${what}` } : hints;
}

/** `⚠️ Test`, the state that Uptime Kuma's button Test has. */
const IS_TEST = /^[^\p{L}\p{N}]{0,8}test[^\p{L}\p{N}]{0,8}$/iu;

/** The message that a push of Google Pub/Sub holds. */
function readPush(body: unknown): unknown {
  const message = objectOf(objectOf(body)?.["message"]);
  const data = textIn(message, "data");
  if (data === null || textIn(objectOf(body), "subscription") === null || !/^[A-Za-z0-9+/_-]+=*$/.test(data))
    return null;
  const text = Buffer.from(data, "base64").toString("utf8");
  const push = { type: "google-pubsub.message", status: "event" };
  const inner = jsonIn(text);
  if (inner === null) return { ...push, title: text.trim().split(/[\r\n]/, 1)[0], message: text };
  const known = readKnown(inner);
  if (known) return known;
  const reading = readByEnds(inner);
  return { ...push, title: titleOf("Pub/Sub", reading), message: reading.reason, link: reading.link };
}

/** An object or a list; null for any other text. */
function jsonIn(text: string): unknown {
  const found = parseJsonWithin(text, MAX_DEPTH);
  return typeof found === "object" ? (found ?? null) : null;
}

/** A notification's text, as JSON if it is. */
function snsContent(body: Json | null, maxMembers: number): unknown {
  const message = textIn(body, "Message");
  if (message === null) return null;
  requireFewMembers(message, maxMembers);
  try {
    return parseWithLongIntegers(message);
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

function discordMessage(body: Json, files: RequestContent["files"]): ChatMessage {
  const embeds = listIn(body, "embeds");
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
      embeds.flatMap((each) => listIn(each, "fields")),
      "name",
      "value",
      (text) => text,
    ),
  };
}

/** Alertmanager's and Grafana's titles end with the values of labels: `DiskFull (db-1 critical)`. */
const BRACKETS = /\[[^[\]]{1,200}\]|\([^()]{1,200}\)/g;

/** The severity in brackets of a title counts more than the color of a problem, which many programs have one of. */
function levelBy(color: string | null, title: string | null): string | null {
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

/** A message of a chat as the mapping of `generic` reads it: its `parsed`. */
interface Card {
  readonly type: string;
  readonly title: string | undefined;
  readonly message: string | undefined;
  readonly level: string | undefined;
  readonly status: "event";
  readonly link: string | undefined;
}

/** Nodes of a card that are read. */
const MAX_NODES = 500;
const MAX_TEXT = 16_384;

/**
 * The text of a message for Microsoft Teams (MessageCard, Adaptive Card) or Google Chat (`text`,
 * cards v1 and v2): for programs that can send to those only.
 * @returns null for any other body
 */
function readCard(body: unknown): Card | null {
  if (!isObject(body)) return null;
  const kind = kindOf(body);
  if (kind === null) return null;
  const reader = new CardReader();
  reader.read(body);
  const lines = reader.texts.map(plain).filter((line) => line !== "");
  const given = [body["title"], body["summary"]].find((each) => typeof each === "string" && each.trim() !== "");
  const title = typeof given === "string" ? plain(given) : lines[0];
  const rest = lines.filter((line, i) => !(i === 0 && line === title) && line !== given);
  return {
    type: `${kind}.message`,
    title: title === undefined ? undefined : withoutFiringMark(title),
    message: (rest.length === 0 ? lines : rest).join("\n").slice(0, MAX_TEXT) || title,
    level: reader.level ?? levelBy(textIn(body, "themeColor"), title ?? null) ?? undefined,
    status: "event",
    link: reader.link ?? undefined,
  };
}

function kindOf(body: Json): "teams" | "google-chat" | null {
  const type = body["@type"] ?? body["type"];
  if (type === "MessageCard" || type === "AdaptiveCard") return "teams";
  const attachments = listOf(body["attachments"]);
  if (attachments.some((each) => isObject(each) && String(each["contentType"]).startsWith(TEAMS_CARD))) return "teams";
  return listOf(body["cardsV2"]).length > 0 || listOf(body["cards"]).length > 0 ? "google-chat" : null;
}

const TEAMS_CARD = "application/vnd.microsoft.";

/** Members whose texts are shown, in the order in which a card shows them. */
const SHOWN = [
  ...["activityTitle", "activitySubtitle", "activityText", "title", "subtitle", "topLabel", "text", "content"],
  ...["bottomLabel"],
] as const;
/** Members that hold further parts of a card. */
const PARTS = [
  ...["header", "body", "items", "columns", "cells", "rows", "inlines", "facts", "sections", "widgets", "card"],
  ...["cards", "cardsV2", "attachments", "textParagraph", "keyValue", "decoratedText", "columnItems"],
] as const;
/** Colors of Adaptive Cards. */
const LEVELS: Readonly<Record<string, string>> = { attention: "error", warning: "warning", good: "info" };

/** Collects what a card shows. At most MAX_NODES parts are read, also of nested lists. */
class CardReader {
  readonly texts: string[] = [];
  link: string | null = null;
  level: string | null = null;
  #left = MAX_NODES;

  read(part: unknown): void {
    if (this.#left-- <= 0) return;
    if (typeof part === "string") this.texts.push(part);
    for (const each of listOf(part)) this.read(each);
    if (!isObject(part)) return;
    this.#notice(part);
    const fact = [part["name"] ?? part["title"], part["value"]];
    if (fact.every((each) => typeof each === "string")) this.texts.push(fact.join(": "));
    else for (const name of SHOWN) this.#show(part[name]);
    for (const name of PARTS) if (typeof part[name] === "object") this.read(part[name]);
  }

  #show(value: unknown): void {
    if (typeof value === "string") this.texts.push(value);
    else if (isObject(value)) this.read(value);
  }

  #notice(part: Json): void {
    this.level ??= LEVELS[String(part["color"] ?? part["style"]).toLowerCase()] ?? null;
    this.link ??= linkOfButton(part) ?? null;
  }
}

function linkOfButton(part: Json): string | undefined {
  const actions = [...listOf(part["actions"]), ...listOf(part["potentialAction"]), ...listOf(part["buttons"])];
  const buttons = isObject(part["buttonList"]) ? listOf(part["buttonList"]["buttons"]) : [];
  const urls = [...actions, ...buttons].slice(0, 20).flatMap((each) => (isObject(each) ? urlsOf(each) : []));
  return urls.find((url) => /^https?:\/\//i.test(url));
}

function urlsOf(action: Json): string[] {
  const targets = listOf(action["targets"]).flatMap((each) => (isObject(each) ? [each["uri"]] : []));
  const opened = at(action, "onClick", "openLink", "url") ?? at(action, "textButton", "onClick", "openLink", "url");
  return [action["url"], ...targets, opened].filter((each) => typeof each === "string");
}

function at(value: unknown, ...names: readonly string[]): unknown {
  return names.reduce((found: unknown, name) => (isObject(found) ? found[name] : undefined), value);
}

/**
 * Without the marks of Markdown, HTML and Google Chat that cards have: `**Shop**`, `<b>Shop</b>`,
 * `[open](https://…)`, `<https://…|open>`, `<at>Ann</at>`.
 */
function plain(text: string): string {
  return withoutMarkup(text, { withLinks: true })
    .replace(/<\/?at\b[^<>]{0,200}>/gi, "")
    .replace(/<users\/(\w{1,100})>/g, "@$1")
    .replace(/<(https?:[^|<>\s]{1,2000})\|([^<>]{1,200})>/g, "$2 <$1>")
    .replace(/\[([^[\]\n]{1,200})\]\((https?:[^()\s]{1,2000})\)/g, "$1 <$2>")
    .replace(/(\*\*|__|~~)(?=\S)([^\n*_~]{1,1000})\1/g, "$2")
    .trim();
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
