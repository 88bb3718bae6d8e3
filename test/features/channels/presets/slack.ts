import {
  at,
  type Reply,
  type Seen,
  type Service,
  type StandInRequest,
  textAt,
  unescapeHtml,
} from "../support/stand-in.ts";

const PATH = "/services/T0000/B0000/XXXXXXXXsecretXXXXXXXX";
const TOKEN = "xoxb-1234-abcdefsecretabcdef";

/** Block Kit's limits: https://docs.slack.dev/reference/block-kit/blocks */
function refusal(body: unknown): string | null {
  if (textAt(body, "text") === "" && at(body, "blocks") === undefined) return "no_text";
  if (textAt(body, "text").length > 40_000) return "msg_too_long";
  for (const attachment of listAt(body, "attachments")) {
    const blocks = listAt(attachment, "blocks");
    if (blocks.length > 50) return "invalid_blocks";
    for (const block of blocks) if (!isBlock(block)) return "invalid_blocks";
  }
  return null;
}

function isBlock(block: unknown): boolean {
  const fields = listAt(block, "fields");
  const elements = listAt(block, "elements");
  const text = at(block, "text");
  if (at(block, "type") === "section" && text === undefined && fields.length === 0) return false;
  if (text !== undefined && !isText(text, 3000)) return false;
  if (fields.length > 10 || !fields.every((field) => isText(field, 2000))) return false;
  return at(block, "type") !== "actions" || elements.every((button) => textAt(button, "url").length <= 3000);
}

function isText(text: unknown, max: number): boolean {
  const content = textAt(text, "text");
  return content.length > 0 && content.length <= max && ["mrkdwn", "plain_text"].includes(textAt(text, "type"));
}

function listAt(value: unknown, member: string): unknown[] {
  const list = at(value, member);
  return Array.isArray(list) ? list : [];
}

/** What people read, and whom the message would notify: `<!channel>`, `<@U…>`. */
function shownBy(body: unknown): { text: string; mentions: string[] } {
  const parts = [textAt(body, "text")];
  for (const attachment of listAt(body, "attachments"))
    for (const block of listAt(attachment, "blocks")) {
      parts.push(textAt(block, "text", "text"), ...listAt(block, "fields").map((field) => textAt(field, "text")));
      parts.push(...listAt(block, "elements").map((element) => textAt(element, "text")));
    }
  const markup = parts.join("\n");
  return { text: unescapeHtml(markup), mentions: markup.match(/<[!@#][^>]*>/g) ?? [] };
}

export function slackWebhook(): Service {
  return {
    preset: "slack",
    fields: (base) => ({ url: `https://hooks.slack.com${PATH}`, api: base }),
    secrets: [`https://hooks.slack.com${PATH}`, "XXXXXXXXsecretXXXXXXXX"],
    answer({ method, path, json }: StandInRequest, seen: Seen[]): Reply {
      if (path !== PATH) return { status: 404, body: "no_service" };
      if (method !== "POST" || json === undefined) return { status: 400, body: "invalid_payload" };
      const refused = refusal(json);
      if (refused) return { status: 400, body: refused };
      seen.push({ id: String(seen.length + 1), edits: 0, ...shownBy(json) });
      return { status: 200, body: "ok" };
    },
  };
}

export function slackBot(): Service {
  return {
    preset: "slack-api",
    fields: (base) => ({ token: TOKEN, channel: "C0123456789", api: base }),
    secrets: [TOKEN],
    answer({ path, headers, json }: StandInRequest, seen: Seen[]): Reply {
      if (headers.authorization !== `Bearer ${TOKEN}`) return failed("invalid_auth");
      if (at(json, "channel") !== "C0123456789") return failed("channel_not_found");
      const refused = refusal(json);
      if (refused) return failed(refused);
      const known = seen.find(({ id }) => id === at(json, "ts"));
      if (path === "/api/chat.update") {
        if (!known) return failed("message_not_found");
        Object.assign(known, shownBy(json), { edits: known.edits + 1 });
        return sent(known.id);
      }
      if (path !== "/api/chat.postMessage") return failed("unknown_method");
      const id = `1712000000.${String(seen.length + 1).padStart(6, "0")}`;
      const parent = textAt(json, "thread_ts");
      seen.push({ id, edits: 0, ...shownBy(json), ...(parent === "" ? {} : { parent }) });
      return sent(id);
    },
  };
}

function sent(ts: string): Reply {
  return { status: 200, body: { ok: true, channel: "C0123456789", ts } };
}

/** Slack answers 200 for errors too. */
function failed(error: string): Reply {
  return { status: 200, body: { ok: false, error } };
}
