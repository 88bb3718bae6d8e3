import {
  at,
  type Reply,
  type Seen,
  type Service,
  type StandInRequest,
  textAt,
  unescapeHtml,
} from "../support/stand-in.ts";

const TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11";
const TAGS = /<\/?(?:b|i|u|s|code|pre|blockquote|tg-spoiler)>|<a href="[^"<>]*">|<\/a>/g;

function failed(status: number, description: string): Reply {
  return { status, body: { ok: false, error_code: status, description } };
}

/** https://core.telegram.org/bots/api#html-style: only some tags, and three characters as entities. */
function plainOf(html: string): string | null {
  const open = html.match(/<[a-z]/g)?.length ?? 0;
  const closed = html.match(/<\//g)?.length ?? 0;
  const rest = html.replaceAll(TAGS, "");
  if (/[<>]/.test(rest) || open !== closed || /&(?!(?:lt|gt|amp|quot|#39);)/.test(rest)) return null;
  return unescapeHtml(rest);
}

export function telegramBot(): Service {
  return {
    preset: "telegram",
    fields: (base) => ({ token: TOKEN, chat: "-100123", api: base }),
    secrets: [TOKEN],
    answer({ path, json }: StandInRequest, seen: Seen[]): Reply {
      const [, token, method] = /^\/bot([^/]+)\/(\w+)$/.exec(decodeURIComponent(path)) ?? [];
      if (token !== TOKEN) return failed(401, "Unauthorized");
      if (String(at(json, "chat_id")) !== "-100123") return failed(400, "Bad Request: chat not found");
      const source = textAt(json, "text");
      const text = at(json, "parse_mode") === "HTML" ? plainOf(source) : source;
      if (text === null) return failed(400, "Bad Request: can't parse entities: unsupported start tag");
      if (text === "") return failed(400, "Bad Request: message text is empty");
      if (text.length > 4096) return failed(400, "Bad Request: message is too long");
      const shown = { text, mentions: text.match(/(?<![\p{L}\p{N}_.])@[a-z]\w{4,}/giu) ?? [] };
      if (method === "editMessageText") return edit(seen, String(at(json, "message_id")), shown);
      if (method !== "sendMessage") return failed(404, "Not Found");
      const id = String(seen.length + 17);
      const parent = at(json, "reply_parameters", "message_id");
      seen.push({ id, edits: 0, ...shown, ...(parent === undefined ? {} : { parent: String(parent) }) });
      return { status: 200, body: { ok: true, result: { message_id: Number(id), chat: { id: -100123 }, text } } };
    },
  };
}

function edit(seen: Seen[], id: string, shown: { readonly text: string; readonly mentions: string[] }): Reply {
  const known = seen.find((message) => message.id === id);
  if (!known) return failed(400, "Bad Request: message to edit not found");
  if (known.text === shown.text) return failed(400, "Bad Request: message is not modified");
  Object.assign(known, shown, { edits: known.edits + 1 });
  return { status: 200, body: { ok: true, result: { message_id: Number(id), chat: { id: -100123 } } } };
}
