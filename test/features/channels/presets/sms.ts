import { show, smsParts } from "../support/services.ts";
import type { Reply, Seen, Service, StandInRequest } from "../support/stand-in.ts";

const SECRET = "ABCDEFGH01234abc";

const message = (status: string, more: Readonly<Record<string, string>> = {}): Reply => ({
  status: 200,
  body: { "message-count": "1", messages: [{ status, ...more }] },
});

export function vonageSms(): Service {
  return {
    preset: "vonage",
    fields: (base) => ({ key: "abcd1234", secret: SECRET, from: "Prism", to: "4930123456", api: base }),
    secrets: [SECRET],
    answer({ path, form }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/sms/json") return { status: 404, body: "" };
      if (form.get("api_key") !== "abcd1234" || form.get("api_secret") !== SECRET)
        return message("4", { "error-text": "Bad Credentials" });
      const text = form.get("text") ?? "";
      if (text === "" || form.get("from") === null) return message("2", { "error-text": "Missing parameters" });
      if (form.get("to") !== "4930123456") return message("6", { "error-text": "Unroutable message" });
      if (text.length > 3200 || smsParts(text) > 3) return message("12", { "error-text": "Message too long" });
      const { id } = show(seen, { id: `m${seen.length + 1}`, text });
      return message("0", { to: "4930123456", "message-id": id });
    },
  };
}

const TOKEN = "token-of-the-gateway";

/** A gateway that answers 200 to everything, as many do. */
export function smsGateway(): Service {
  return {
    preset: "sms",
    fields: (base) => ({ url: `${base}/send-secret-path`, to: "+4930123456", from: "Prism", token: TOKEN }),
    secrets: [TOKEN, "send-secret-path"],
    answer({ path, headers, form }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/send-secret-path") return { status: 404, body: "" };
      if (headers.authorization !== `Bearer ${TOKEN}`)
        return { status: 200, body: { error: 101, message: "Authorization failed" } };
      const text = form.get("text") ?? "";
      if (form.get("to") !== "+4930123456" || text === "")
        return { status: 200, body: { error: 13, message: "No number" } };
      if (smsParts(text) > 3) return { status: 200, body: { error: 12, message: "Too long" } };
      show(seen, { id: String(seen.length + 1), text });
      return { status: 200, body: { count: 1, list: [{ id: String(seen.length), points: 0.16 }] } };
    },
  };
}
