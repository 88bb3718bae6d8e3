import { hasOnly, show, titleAndMessage, unescapeMarkdown } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const TOKEN = "AbCdEfSecret789";

function failed(errorCode: number, errorDescription: string): Reply {
  return { status: errorCode, body: { error: "Error", errorCode, errorDescription } };
}

export function gotifyServer(): Service {
  return {
    preset: "gotify",
    fields: (base) => ({ url: `${base}/`, token: TOKEN }),
    secrets: [TOKEN],
    answer({ method, path, headers, json }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/message" || method !== "POST") return failed(404, "page not found");
      if (headers["x-gotify-key"] !== TOKEN)
        return failed(401, "you need to provide a valid access token or user credentials to access this api");
      if (textAt(json, "message") === "") return failed(400, "Field 'message' is required");
      if (!Number.isInteger(at(json, "priority")))
        return failed(400, "json: cannot unmarshal into priority of type int");
      const extras = at(json, "extras");
      if (!hasOnly(extras, ["client::display", "client::notification"])) return failed(400, "extras");
      const { id } = show(seen, {
        id: String(seen.length + 25),
        text: unescapeMarkdown(titleAndMessage(json, "title", "message")),
      });
      return {
        status: 200,
        body: { id: Number(id), appid: 5, message: textAt(json, "message"), date: "2026-01-31T08:15:00Z" },
      };
    },
  };
}
