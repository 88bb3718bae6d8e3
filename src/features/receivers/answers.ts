import { secretsEqual } from "../../core/tokens.ts";
import type { Exchange } from "../../http/exchange.ts";
import { ANSWERS_LATER } from "../../http/route.ts";
import type { RawRequest } from "./read-request.ts";
import type { Receiver } from "./receivers.ts";

/** An answer to a sender. */
interface Answer {
  readonly status: number;
  readonly type?: string | undefined;
  readonly body?: string | undefined;
}

const TEXT = "text/plain; charset=utf-8";
const MAX_CHALLENGE = 1000;

/** Sends an answer that is not JSON of this server. */
export function sendAnswer(exchange: Exchange, { status, type, body }: Answer): typeof ANSWERS_LATER {
  exchange.send(status, body ?? "", { "Content-Type": type ?? TEXT });
  return ANSWERS_LATER;
}

/**
 * The answer to a sender that checks the URL before it delivers; null for a delivery. It stores
 * nothing.
 */
export function handshakeOf(receiver: Receiver, request: RawRequest): Answer | null {
  const { preset } = receiver;
  if (request.method === "GET" && preset.name === "discord") return discordWebhook(receiver);
  switch (preset.handshake) {
    case "slack":
      return slackChallenge(request);
    case "meta":
      return metaChallenge(receiver, request);
    case "graph":
      return textAnswer(request.query["validationToken"]);
    default:
      return null;
  }
}

/** Some programs read the webhook before they use it. */
function discordWebhook({ row }: Receiver): Answer {
  const body = { id: "1", token: "hidden", name: row.name, channel_id: "1", type: 1 };
  return { status: 200, type: "application/json; charset=utf-8", body: JSON.stringify(body) };
}

function slackChallenge({ bytes }: RawRequest): Answer | null {
  if (bytes.length > 4096 || !bytes.includes("url_verification")) return null;
  try {
    const { type, challenge } = JSON.parse(bytes.toString("utf8")) as { type?: unknown; challenge?: unknown };
    return type === "url_verification" && typeof challenge === "string" ? textAnswer(challenge) : null;
  } catch {
    return null;
  }
}

function metaChallenge({ secrets }: Receiver, { method, query }: RawRequest): Answer | null {
  if (method !== "GET" || query["hub.mode"] !== "subscribe") return null;
  const given = query["hub.verify_token"] ?? "";
  const isKnown = secrets.some((secret) => secretsEqual(given, secret));
  return isKnown ? textAnswer(query["hub.challenge"]) : { status: 403, body: "wrong verify token" };
}

function textAnswer(text: string | undefined): Answer | null {
  return text === undefined ? null : { status: 200, type: TEXT, body: text.slice(0, MAX_CHALLENGE) };
}
