import { type Seen, type StandInRequest, textAt } from "./stand-in.ts";

/** Name and password of Basic authentication. */
export function basicOf({ headers }: StandInRequest): string {
  const [, encoded = ""] = /^Basic (.+)$/.exec(headers.authorization ?? "") ?? [];
  return Buffer.from(encoded, "base64").toString("utf8");
}

export function listAt(value: unknown, member: string): unknown[] {
  const list = (Object(value) as Record<string, unknown>)[member];
  return Array.isArray(list) ? list : [];
}

/** Whether an object has only these members. */
export function hasOnly(value: unknown, members: readonly string[]): boolean {
  return Object.keys(Object(value)).every((name) => members.includes(name));
}

const SHOWN = new Set(["title", "subtitle", "text", "content", "value", "topLabel"]);

/** The texts of a card in the order of its parts, one a line; a button's label in brackets. */
export function textsOfCard(part: unknown): string {
  if (Array.isArray(part)) return part.map(textsOfCard).filter(Boolean).join("\n");
  if (typeof part !== "object" || part === null) return "";
  const entries = Object.entries(part as Record<string, unknown>);
  const isButton = ["url", "onClick", "actionURL"].some((name) => Object.hasOwn(part, name));
  const texts = entries.map(([name, value]) => {
    if (typeof value !== "string") return textsOfCard(value);
    return SHOWN.has(name) ? value : "";
  });
  const text = texts.filter(Boolean).join(Object.hasOwn(part, "value") ? ": " : "\n");
  return isButton && text !== "" ? `[${text}]` : text;
}

export function codePoints(text: string): number {
  return Array.from(text).length;
}

export function bytes(text: string): number {
  return Buffer.byteLength(text);
}

/** Markdown as its readers see it: escaped characters, links and emphasis. */
export function unescapeMarkdown(text: string): string {
  const readable = text
    .replaceAll("\u200b", "")
    .replace(/(?<!\\)\*\*/g, "")
    .replace(/(?<!\\)\[(Open|Acknowledge)\]\([^)]*\)/g, "[$1]");
  return readable.replace(/\\([\\`*_[\]~|<>#])/g, "$1");
}

/** Nextcloud's own expression, of lib/private/Comments/Comment.php, getMentions. */
const NEXTCLOUD =
  /\B(?<![^a-z0-9_\-@.'\s])@("(?:guest|email)\/[a-f0-9]+"|"(?:federated_)?(?:group|team|user)\/[a-z0-9_\-@.' /:]+"|"[a-z0-9_\-@.' ]+"|[a-z0-9_\-@.']+)/gi;

/** `@name`, `@007`, `@"group/admin"` and `@**name**` outside words. */
export function atMentions(text: string): string[] {
  return [...(text.match(/(?<!\w)@(?:_?\*\*|[a-z0-9])[\w*.-]*/gi) ?? []), ...(text.match(NEXTCLOUD) ?? [])];
}

export function angleMentions(text: string): string[] {
  return text.match(/<(?:[!@#]|users\/|at )[^>]*>/g) ?? [];
}

export function known(seen: readonly Seen[], id: string | undefined): Seen | undefined {
  return seen.find((message) => message.id === id);
}

/** Shows a message, or changes the one with its id. */
export function show(
  seen: Seen[],
  message: { readonly id: string; readonly text: string; readonly parent?: string; readonly mentions?: string[] },
): Seen {
  const { mentions = [] } = message;
  const found = known(seen, message.id);
  if (found) return Object.assign(found, { text: message.text, mentions, edits: found.edits + 1 });
  const added: Seen = { edits: 0, ...message, mentions };
  seen.push(added);
  return added;
}

/** Septets of an SMS, or null for text that needs UCS-2. */
export function septets(text: string): number | null {
  const basic = /^[\n\r -#%-?A-Za-z@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà]$/u;
  let count = 0;
  for (const char of text) {
    if (basic.test(char)) count += 1;
    else if ("^{}\\[~]|€".includes(char)) count += 2;
    else return null;
  }
  return count;
}

/** Parts that the network sends and the sender pays. */
export function smsParts(text: string): number {
  const size = septets(text);
  if (size === null) return text.length <= 70 ? 1 : Math.ceil(text.length / 67);
  return size <= 160 ? 1 : Math.ceil(size / 153);
}

export const titleAndMessage = (body: unknown, title: string, message: string): string =>
  `${textAt(body, title)}\n${textAt(body, message)}`;
