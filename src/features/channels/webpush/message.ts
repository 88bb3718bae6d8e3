import type { Config } from "../../../config/load.ts";
import { signing } from "../../../core/crypto/hmac.ts";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { URGENT_PRIORITY } from "../../../http/api/shapes.ts";
import type { Attempt, NotificationFacts } from "../../delivery/channel.ts";
import { fitPush } from "../push/message.ts";
import type { PushHeaders } from "./sender.ts";

/** The plaintext of a record of 4096 bytes (RFC 8188): less header, delimiter and tag. */
const MAX_PAYLOAD_BYTES = 3993;
/** Longest time that services store a message. */
const MAX_TTL_MS = 28 * DAY_MS;
/** Enough for "Acknowledge" after a holiday; the notification itself stays in the inbox. */
const ACKNOWLEDGE_MS = 7 * DAY_MS;
const TOPIC_LENGTH = 32;

/**
 * The JSON that the console's service worker receives (docs/push.md). A long text is truncated, an
 * action without room is omitted.
 * @param acknowledgeToken for the button of the notification
 */
export function pushPayload(
  { notification, offset }: Attempt,
  acknowledgeToken: string,
  button: "Acknowledge" | "Confirm" = "Acknowledge",
): string {
  const { id, title, message, kind, priority, projectId, createdAt, sound, action } = notification;
  const parsed: unknown = action === null ? null : JSON.parse(action);
  const isEnd =
    kind === "incident" && (JSON.parse(notification.data ?? "{}") as { reason?: unknown }).reason === "resolved";
  return fitPush(
    message,
    parsed,
    (body, data) =>
      JSON.stringify({
        id,
        title,
        body,
        url: `inbox/${id}`,
        tag: id,
        kind,
        priority,
        projectId,
        createdAt: toRfc3339(createdAt),
        offset,
        actions: isEnd ? [] : [{ action: "acknowledge", title: button }],
        acknowledgeToken,
        ...(sound === null ? {} : { sound }),
        ...(data === null ? {} : { action: data }),
      }),
    MAX_PAYLOAD_BYTES,
  );
}

/** The JSON of a test, which is no notification. */
export function testPayload(id: string, now: EpochMs): string {
  const [title, body] = ["Test", "Prism can reach this browser."];
  return JSON.stringify({ id, title, body, url: "inbox", tag: "test", createdAt: toRfc3339(now), actions: [] });
}

export function pushHeaders({ id, kind, priority, expiresAt }: NotificationFacts, now: EpochMs): PushHeaders {
  const ttlMs = expiresAt === null ? MAX_TTL_MS : Math.min(Math.max(0, expiresAt - now), MAX_TTL_MS);
  return {
    ttlS: Math.floor(ttlMs / 1000),
    urgency: priority >= URGENT_PRIORITY ? "high" : kind === "digest" ? "low" : "normal",
    topic: topicOf(id),
  };
}

/** A repeated attempt replaces the pending message. A UUID has 32 digits. */
export function topicOf(id: string): string {
  return id.replace(/[^\w]/g, "").slice(0, TOPIC_LENGTH);
}

type SigningConfig = Pick<Config, "secrets">;

/** Marks tokens of drills: they name a delivery in place of a subscription. */
export const DRILL_WAY = "drill-";

/** The right of a message's token: to acknowledge one notification. */
export interface Acknowledgement {
  readonly subscriptionId: string;
  readonly notificationId: string;
}

/**
 * A token for the service worker, which has no access token while the console is closed. It works
 * as long as the subscription exists, and for seven days.
 */
export function acknowledgeToken(config: SigningConfig, of: Acknowledgement, now: EpochMs): string {
  const text = `${of.subscriptionId}.${of.notificationId}.${Math.floor((now + ACKNOWLEDGE_MS) / 1000)}`;
  return `${text}.${sign(config, text)}`;
}

/** @throws TOKEN_INVALID, TOKEN_EXPIRED */
export function readAcknowledgeToken(config: SigningConfig, token: string, now: EpochMs): Acknowledgement {
  const [subscriptionId = "", notificationId = "", until = "", signature = ""] = token.split(".");
  if (!secretsEqual(signature, sign(config, `${subscriptionId}.${notificationId}.${until}`)))
    throw new PrismError("TOKEN_INVALID", "The token was not signed by this server");
  if (Number(until) * 1000 <= now) throw new PrismError("TOKEN_EXPIRED", "The token has expired; log in instead");
  return { subscriptionId, notificationId };
}

/** The key has no other use. */
function sign({ secrets }: SigningConfig, text: string): string {
  return signing(secrets, "prism push acknowledgements").update(text).digest("base64url");
}
