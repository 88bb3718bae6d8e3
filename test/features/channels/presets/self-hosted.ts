import { atMentions, basicOf, bytes, codePoints, hasOnly, known, show, titleAndMessage } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const CHAT_TOKEN = "secretTokenOfTheWebhook0123456789";

export function synologyChatServer(): Service {
  const failed = (code: number, errors: string): Reply => ({
    status: 200,
    body: { error: { code, errors }, success: false },
  });
  return {
    preset: "synology-chat",
    fields: (base) => ({
      url: `${base}/webapi/entry.cgi?api=SYNO.Chat.External&method=incoming&version=2&token=${CHAT_TOKEN}`,
    }),
    secrets: [CHAT_TOKEN],
    answer({ path, query, form }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/webapi/entry.cgi" || query.get("method") !== "incoming") return failed(102, "no such API");
      if (query.get("token") !== CHAT_TOKEN) return failed(407, "invalid token");
      const payload: unknown = JSON.parse(form.get("payload") ?? "{}");
      const text = textAt(payload, "text");
      if (text === "" || codePoints(text) > 4000) return failed(120, "invalid parameter");
      show(seen, { id: String(seen.length + 1), text, mentions: atMentions(text) });
      return { status: 200, body: { success: true } };
    },
  };
}

const TALK_PASSWORD = "abcde-fghij-klmno-pqrst-uvwxy";

function ocs(status: number, data: unknown = []): Reply {
  return { status, body: { ocs: { meta: { status: status < 300 ? "ok" : "failure", statuscode: status }, data } } };
}

/** https://nextcloud-talk.readthedocs.io/en/latest/chat/#sending-a-new-chat-message */
export function nextcloudTalkServer(): Service {
  return {
    preset: "nextcloud-talk",
    fields: (base) => ({ url: base, username: "prism", password: TALK_PASSWORD, room: "abcdef12" }),
    secrets: [TALK_PASSWORD],
    answer(request: StandInRequest, seen: Seen[]): Reply {
      const { method, path, headers, json } = request;
      if (headers["ocs-apirequest"] !== "true" || basicOf(request) !== `prism:${TALK_PASSWORD}`) return ocs(401);
      const [, room, id] = /^\/ocs\/v2\.php\/apps\/spreed\/api\/v1\/chat\/(\w+)(?:\/(\d+))?$/.exec(path) ?? [];
      if (room !== "abcdef12") return ocs(404);
      const text = textAt(json, "message");
      if (codePoints(text) > 32_000) return ocs(413);
      if (text === "") return ocs(400);
      const shown = { text, mentions: atMentions(text) };
      if (id !== undefined) return method === "PUT" && known(seen, id) ? ocs(200, edited(seen, id, shown)) : ocs(404);
      const replyTo = at(json, "replyTo");
      if (replyTo !== undefined && !Number.isInteger(replyTo)) return ocs(400);
      const parent = replyTo === undefined ? {} : { parent: String(replyTo) };
      const message = show(seen, { id: String(seen.length + 1234), ...shown, ...parent });
      return ocs(201, { id: Number(message.id), token: "abcdef12", message: text });
    },
  };
}

function edited(seen: Seen[], id: string, shown: { readonly text: string; readonly mentions: string[] }): unknown {
  return { id: Number(id) + 1, parent: { id: Number(show(seen, { id, ...shown }).id) } };
}

const HASS_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.secretsecret";

export function homeAssistantServer(): Service {
  return {
    preset: "home-assistant",
    fields: (base) => ({ url: base, token: HASS_TOKEN, service: "mobile_app_phone" }),
    secrets: [HASS_TOKEN],
    answer({ path, headers, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (headers.authorization !== `Bearer ${HASS_TOKEN}`) return { status: 401, body: "401: Unauthorized" };
      if (path !== "/api/services/notify/mobile_app_phone") return { status: 400, body: "400: Bad Request" };
      if (!hasOnly(json, ["title", "message", "data", "target"]) || textAt(json, "message") === "")
        return { status: 400, body: { message: "extra keys not allowed" } };
      // Apple's limit of a push message.
      if (bytes(text) > 4096) return { status: 500, body: "500 Internal Server Error" };
      show(seen, {
        id: `${textAt(json, "data", "tag")}-${seen.length}`,
        text: titleAndMessage(json, "title", "message").replaceAll("\u200b", ""),
      });
      return { status: 200, body: [] };
    },
  };
}
