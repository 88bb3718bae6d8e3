import { basicOf, bytes, codePoints, hasOnly, known, listAt, show } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const PASSWORD = "secret-of-the-proxy";
const NUMBER = "+4930123456";
const RECIPIENT = "+4930654321";

const signalError = (error: string): Reply => ({ status: 400, body: { error } });

/** github.com/bbernhard/signal-cli-rest-api: src/api/api.go, SendV2. */
export function signalCli(): Service {
  return {
    preset: "signal",
    fields: (base) => ({ url: base, number: NUMBER, recipient: RECIPIENT, username: "prism", password: PASSWORD }),
    secrets: [PASSWORD],
    answer(request: StandInRequest, seen: Seen[]): Reply {
      const { method, path, json } = request;
      if (basicOf(request) !== `prism:${PASSWORD}`) return { status: 401, body: "" };
      if (path !== "/v2/send" || method !== "POST") return { status: 404, body: "404 page not found" };
      const edited = at(json, "edit_timestamp");
      if (edited !== undefined && !Number.isInteger(edited))
        return signalError("Couldn't process request - invalid request");
      const recipients = listAt(json, "recipients");
      if (recipients.length === 0)
        return signalError("Couldn't process request - please provide at least one recipient");
      if (at(json, "number") !== NUMBER) return signalError("Specified account does not exist");
      if (recipients.some((recipient) => recipient !== RECIPIENT))
        return signalError("Failed to send: Unregistered user");
      const text = textAt(json, "message");
      if (edited !== undefined && !known(seen, String(edited)))
        return signalError("Failed to edit: target message not found");
      const { id } = show(seen, { id: edited === undefined ? `170000000000${seen.length}` : String(edited), text });
      return { status: 201, body: { timestamp: id } };
    },
  };
}

const LINE_TOKEN = "eyJhbGciOiJIUzI1NiJ9UnQ0u8hNhPpO1f0b3zV2secret";
const LINE_USER = "U4af4980629abcdef0123456789abcdef";

export function lineApi(): Service {
  const keys = new Set<string>();
  const accepted = new Map<string, string>();
  return {
    preset: "line",
    fields: (base) => ({ token: LINE_TOKEN, to: LINE_USER, api: base }),
    secrets: [LINE_TOKEN],
    isIdempotent: true,
    answer({ path, headers, json }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/v2/bot/message/push") return { status: 404, body: { message: "Not found" } };
      if (headers.authorization !== `Bearer ${LINE_TOKEN}`)
        return { status: 401, body: { message: "Authentication failed." } };
      const key = String(headers["x-line-retry-key"]);
      if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(key))
        return { status: 400, body: { message: "Invalid retry key" } };
      if (at(json, "to") !== LINE_USER) return { status: 400, body: { message: "The property, 'to', is invalid" } };
      const messages = listAt(json, "messages");
      const texts = messages.map((message) => textAt(message, "text"));
      if (messages.length === 0 || messages.length > 5 || texts.some((text) => text === "" || text.length > 5000))
        return { status: 400, body: { message: "The request body has 1 error(s)" } };
      const request = accepted.get(key);
      if (request !== undefined && keys.has(key))
        return {
          status: 409,
          headers: { "x-line-accepted-request-id": request },
          body: { message: "accepted before" },
        };
      keys.add(key);
      accepted.set(key, `request-${seen.length}`);
      show(seen, { id: `m${seen.length + 1}`, text: texts.join("\n") });
      return { status: 200, body: { sentMessages: [{ id: "461230966842064897", quoteToken: "q" }] } };
    },
  };
}

const THREEMA_SECRET = "abcdefgh12345678";

export function threemaGateway(): Service {
  return {
    preset: "threema",
    fields: (base) => ({ from: "*PRISM01", secret: THREEMA_SECRET, to: "ABCD1234", api: base }),
    secrets: [THREEMA_SECRET],
    answer({ path, form }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/send_simple") return { status: 404, body: "" };
      if (form.get("from") !== "*PRISM01" || form.get("secret") !== THREEMA_SECRET) return { status: 401, body: "" };
      if ([...form.keys()].filter((key) => ["to", "phone", "email"].includes(key)).length !== 1)
        return { status: 400, body: "" };
      const text = form.get("text") ?? "";
      if (text === "") return { status: 400, body: "" };
      if (bytes(text) > 3500) return { status: 413, body: "" };
      show(seen, { id: `m${seen.length + 1}`, text });
      return { status: 200, body: "0123456789abcdef" };
    },
  };
}

const WHATSAPP_TOKEN = "EAAGm0PX4ZCpsBAKZCZBpsZCsecret";

const graphError = (status: number, code: number): Reply => ({
  status,
  body: { error: { message: `(#${code})`, type: "OAuthException", code, fbtrace_id: "A" } },
});

/** A template's parameter: no line breaks, tabs or more than four spaces; 1,024 characters with the template. */
function isParameter(text: string): boolean {
  return text !== "" && codePoints(text) <= 1024 && !/[\r\n\t]| {5,}/.test(text);
}

export function whatsappCloud(): Service {
  return {
    preset: "whatsapp",
    fields: (base) => ({
      token: WHATSAPP_TOKEN,
      phone: "106540352242922",
      to: "4930123456",
      template: "alert",
      api: base,
    }),
    secrets: [WHATSAPP_TOKEN],
    answer({ path, headers, json }: StandInRequest, seen: Seen[]): Reply {
      if (headers.authorization !== `Bearer ${WHATSAPP_TOKEN}`) return graphError(401, 190);
      if (path !== "/v21.0/106540352242922/messages" || at(json, "messaging_product") !== "whatsapp")
        return graphError(400, 100);
      if (!hasOnly(json, ["messaging_product", "to", "type", "template"])) return graphError(400, 100);
      if (at(json, "to") !== "4930123456") return graphError(400, 131_030);
      const template = at(json, "template");
      if (at(template, "name") !== "alert" || textAt(template, "language", "code") === "")
        return graphError(404, 132_001);
      const parameters = listAt(at(template, "components", 0), "parameters");
      if (parameters.length !== 1) return graphError(400, 132_000);
      const text = textAt(parameters[0], "text");
      if (!isParameter(text)) return graphError(400, 132_005);
      const { id } = show(seen, { id: `wamid.${seen.length + 1}`, text });
      return { status: 200, body: { messaging_product: "whatsapp", messages: [{ id }] } };
    },
  };
}
