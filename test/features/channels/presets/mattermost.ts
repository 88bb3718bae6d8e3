import { atMentions, codePoints, hasOnly, known, listAt, show, unescapeMarkdown } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const HOOK = "abcdefghijklmnopqrstuvwxyz";
const TOKEN = "tokentokentokentokentoken1";
const CHANNEL = "zyxwvutsrqponmlkjihgfedcba";

function failed(status: number, id: string, message = id): Reply {
  return { status, body: { id, message, detailed_error: "", request_id: "r", status_code: status } };
}

const MEMBERS = ["fallback", "color", "title", "title_link", "text", "fields", "footer", "actions"];

/** Texts of attachments, or what the server refuses. */
function shownBy(attachments: readonly unknown[]): { text: string; mentions: string[] } | Reply {
  const parts: string[] = [];
  for (const attachment of attachments) {
    if (!hasOnly(attachment, MEMBERS)) return failed(400, "api.context.invalid_body_param.app_error");
    if (!/^#[0-9a-f]{6}$/.test(textAt(attachment, "color"))) return failed(400, "color");
    parts.push(textAt(attachment, "title"), textAt(attachment, "text"));
    for (const field of listAt(attachment, "fields")) {
      if (typeof at(field, "short") !== "boolean") return failed(400, "web.incoming_webhook.decode.app_error");
      parts.push(textAt(field, "title"), textAt(field, "value"));
    }
  }
  const markdown = parts.join("\n");
  // Older servers keep 8,000 characters of properties.
  if (codePoints(markdown) > 8000) return failed(400, "store.sql_post.overwrite.app_error", "Post props are too long");
  return { text: unescapeMarkdown(markdown), mentions: atMentions(markdown) };
}

export function mattermostHook(): Service {
  return {
    preset: "mattermost",
    fields: (base) => ({ url: `${base}/hooks/${HOOK}`, channel: "town-square" }),
    secrets: [HOOK],
    answer({ method, path, json }: StandInRequest, seen: Seen[]): Reply {
      if (path !== `/hooks/${HOOK}`) return failed(400, "web.incoming_webhook.invalid.app_error", "Invalid webhook.");
      if (method !== "POST" || json === undefined) return failed(400, "web.incoming_webhook.parse.app_error");
      if (at(json, "channel") !== "town-square") return failed(404, "web.incoming_webhook.channel.app_error");
      const attachments = listAt(json, "attachments");
      if (textAt(json, "text") === "" && attachments.length === 0)
        return failed(400, "web.incoming_webhook.text.app_error");
      const shown = shownBy(attachments);
      if ("status" in shown) return shown;
      show(seen, { id: `p${seen.length + 1}`, ...shown });
      return { status: 200, body: "ok" };
    },
  };
}

export function mattermostBot(): Service {
  const pending = new Map<string, string>();
  return {
    preset: "mattermost-api",
    fields: (base) => ({ url: `${base}/`, token: TOKEN, channel: CHANNEL }),
    secrets: [TOKEN],
    isIdempotent: true,
    answer({ method, path, headers, json }: StandInRequest, seen: Seen[]): Reply {
      if (headers.authorization !== `Bearer ${TOKEN}`) return failed(401, "api.context.session_expired.app_error");
      const [, id] = /^\/api\/v4\/posts\/(\w+)\/patch$/.exec(path) ?? [];
      if (id === undefined && path !== "/api/v4/posts") return failed(404, "api.context.404.app_error");
      if (id === undefined && at(json, "channel_id") !== CHANNEL)
        return failed(403, "api.context.permissions.app_error");
      const shown = shownBy(listAt(at(json, "props"), "attachments"));
      if ("status" in shown) return shown;
      if (id !== undefined && (method !== "PUT" || !known(seen, id)))
        return failed(403, "api.context.permissions.app_error");
      const root = textAt(json, "root_id");
      if (root !== "" && !known(seen, root)) return failed(400, "api.post.create_post.root_id.app_error");
      const repeated = pending.get(textAt(json, "pending_post_id"));
      if (id === undefined && repeated !== undefined && root === "") return { status: 201, body: { id: repeated } };
      const post = show(seen, {
        id: id ?? `post${seen.length + 1}`,
        ...shown,
        ...(root === "" ? {} : { parent: root }),
      });
      pending.set(textAt(json, "pending_post_id"), post.id);
      return { status: id === undefined ? 201 : 200, body: { id: post.id, channel_id: CHANNEL, message: "" } };
    },
  };
}
