import { basicOf, show, titleAndMessage } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const KEY = "secret-key-of-the-urls";
const PASSWORD = "password-of-the-server";

/** github.com/caronc/apprise-api: NotifyView. */
export function appriseApi(): Service {
  const failed = (status: number, error: string): Reply => ({ status, body: { error } });
  return {
    preset: "apprise",
    fields: (base) => ({ url: base, key: KEY, tag: "on-call", username: "prism", password: PASSWORD }),
    secrets: [KEY, PASSWORD],
    answer(request: StandInRequest, seen: Seen[]): Reply {
      const { method, path, json } = request;
      if (basicOf(request) !== `prism:${PASSWORD}`) return { status: 401, body: "" };
      if (method !== "POST") return failed(405, "method not allowed");
      if (path !== `/notify/${KEY}`) return { status: 204 };
      if (textAt(json, "body") === "") return failed(400, "Payload lacks minimum requirements.");
      if (!["info", "success", "warning", "failure"].includes(textAt(json, "type")))
        return failed(400, "Invalid type.");
      if (!["text", "markdown", "html"].includes(textAt(json, "format"))) return failed(400, "Invalid format.");
      if (at(json, "tag") !== "on-call") return failed(424, "One or more notification could not be sent.");
      show(seen, { id: String(seen.length + 1), text: titleAndMessage(json, "title", "body") });
      return { status: 200, body: { error: null, details: [] } };
    },
  };
}
