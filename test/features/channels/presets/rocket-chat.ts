import { atMentions, hasOnly, known, listAt, show } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const HOOK = "/hooks/65f0c0ffee00/secretSecretSecret12";
const TOKEN = "RScctEHSmLGZGywfIhWyRpyofhKOiMoUIpimhvheU3f";
const USER = "rbAXPnMktTFbNpwtJ";
/** Message_MaxAllowedSize. */
const MAX_SIZE = 5000;

function failed(status: number, error: string): Reply {
  return { status, body: { success: false, error } };
}

export function rocketChatHook(): Service {
  return {
    preset: "rocket-chat",
    fields: (base) => ({ url: `${base}${HOOK}` }),
    secrets: ["secretSecretSecret12"],
    answer({ path, json }: StandInRequest, seen: Seen[]): Reply {
      if (path !== HOOK) return failed(401, "Invalid integration id or token provided.");
      if (!hasOnly(json, ["alias", "text", "emoji", "attachments"]))
        return failed(400, "overriding destination channel is disabled for this integration");
      const parts = [textAt(json, "text")];
      for (const attachment of listAt(json, "attachments")) {
        if (!hasOnly(attachment, ["color", "title", "title_link", "text", "ts", "fields"]))
          return failed(400, "Match error: Unknown key in field attachments[0]");
        parts.push(textAt(attachment, "title"), textAt(attachment, "text"));
        for (const field of listAt(attachment, "fields")) parts.push(textAt(field, "title"), textAt(field, "value"));
      }
      const text = parts.join("\n");
      if (text.length > MAX_SIZE) return failed(400, "error-message-size-exceeded");
      show(seen, { id: `m${seen.length + 1}`, text, mentions: atMentions(text) });
      return { status: 200, body: { success: true } };
    },
  };
}

export function rocketChatUser(): Service {
  return {
    preset: "rocket-chat-api",
    fields: (base) => ({ url: base, user: USER, token: TOKEN, channel: "#alerts" }),
    secrets: [TOKEN],
    answer({ method, path, headers, json }: StandInRequest, seen: Seen[]): Reply {
      if (headers["x-auth-token"] !== TOKEN || headers["x-user-id"] !== USER)
        return { status: 401, body: { status: "error", message: "You must be logged in to do this." } };
      const text = textAt(json, "text");
      if (method !== "POST" || text === "") return failed(400, "error-invalid-params");
      if (text.length > MAX_SIZE) return failed(400, "error-message-size-exceeded");
      const mentions = atMentions(text);
      if (path === "/api/v1/chat.update") {
        const id = textAt(json, "msgId");
        if (!known(seen, id)) return failed(400, `No message found with the id of "${id}".`);
        if (at(json, "roomId") !== "GENERAL") return failed(400, "The room id provided does not match.");
        return sent(show(seen, { id, text, mentions }));
      }
      if (path !== "/api/v1/chat.postMessage") return failed(404, "unknown");
      if (at(json, "channel") !== "#alerts") return failed(400, "[invalid-channel]");
      const parent = textAt(json, "tmid");
      return sent(show(seen, { id: `m${seen.length + 1}`, text, mentions, ...(parent === "" ? {} : { parent }) }));
    },
  };
}

function sent({ id, text }: Seen): Reply {
  return { status: 200, body: { channel: "alerts", message: { _id: id, rid: "GENERAL", msg: text }, success: true } };
}
