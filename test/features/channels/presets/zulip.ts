import { atMentions, basicOf, codePoints, known, show, unescapeMarkdown } from "../support/services.ts";
import type { Reply, Seen, Service, StandInRequest } from "../support/stand-in.ts";

const TOKEN = "abcdefghijklmnopqrstuvwxyz012345";
const BOT = "prism-bot@example.zulipchat.com";

function failed(status: number, code: string, msg = code): Reply {
  return { status, body: { result: "error", code, msg } };
}

export function zulipServer(): Service {
  return {
    preset: "zulip",
    fields: (base) => ({ url: base, email: BOT, token: TOKEN, stream: "alerts" }),
    secrets: [TOKEN],
    answer(request: StandInRequest, seen: Seen[]): Reply {
      const { method, path, form } = request;
      if (basicOf(request) !== `${BOT}:${TOKEN}`) return failed(401, "INVALID_API_KEY");
      const content = form.get("content") ?? "";
      if (content.trim() === "") return failed(400, "BAD_REQUEST", "Message must not be empty");
      if (codePoints(content) > 10_000) return failed(400, "BAD_REQUEST", "Message is too long");
      const shown = { text: unescapeMarkdown(content), mentions: atMentions(content) };
      const [, id] = /^\/api\/v1\/messages\/(\d+)$/.exec(path) ?? [];
      if (id !== undefined) {
        if (method !== "PATCH" || !known(seen, id)) return failed(400, "BAD_REQUEST", "Invalid message(s)");
        show(seen, { id, ...shown });
        return { status: 200, body: { result: "success", msg: "", detached_uploads: [] } };
      }
      if (path !== "/api/v1/messages" || method !== "POST") return failed(404, "BAD_REQUEST");
      if (form.get("type") !== "stream" || form.get("to") !== "alerts")
        return failed(400, "STREAM_DOES_NOT_EXIST", "Stream does not exist");
      const topic = form.get("topic") ?? "";
      if (topic === "" || codePoints(topic) > 60) return failed(400, "BAD_REQUEST", "Topic");
      const added = show(seen, { id: String(seen.length + 42), ...shown });
      return { status: 200, body: { result: "success", msg: "", id: Number(added.id) } };
    },
  };
}
