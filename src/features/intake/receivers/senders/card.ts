import { isObject, listOf, type Members, textIn } from "../../../../core/text/members.ts";
import { withoutFiringMark, withoutMarkup } from "../../../../core/text/plain-text.ts";
import { levelBy } from "./chat.ts";

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
export function readCard(body: unknown): Card | null {
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

function kindOf(body: Members): "teams" | "google-chat" | null {
  const type = body["@type"] ?? body["type"];
  if (type === "MessageCard" || type === "AdaptiveCard") return "teams";
  const attachments = listOf(body["attachments"]);
  if (attachments.some((each) => isObject(each) && String(each["contentType"]).startsWith(TEAMS_CARD))) return "teams";
  return listOf(body["cardsV2"]).length > 0 || listOf(body["cards"]).length > 0 ? "google-chat" : null;
}

const TEAMS_CARD = "application/vnd.microsoft.";

/** Members with texts, in the order in which a card shows them. */
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

  #notice(part: Members): void {
    this.level ??= LEVELS[String(part["color"] ?? part["style"]).toLowerCase()] ?? null;
    this.link ??= linkOfButton(part) ?? null;
  }
}

function linkOfButton(part: Members): string | undefined {
  const actions = [...listOf(part["actions"]), ...listOf(part["potentialAction"]), ...listOf(part["buttons"])];
  const buttons = isObject(part["buttonList"]) ? listOf(part["buttonList"]["buttons"]) : [];
  const urls = [...actions, ...buttons].slice(0, 20).flatMap((each) => (isObject(each) ? urlsOf(each) : []));
  return urls.find((url) => /^https?:\/\//i.test(url));
}

function urlsOf(action: Members): string[] {
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
