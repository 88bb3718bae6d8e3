import type { EpochMs } from "../../../../core/clock.ts";
import type { AttemptFacts } from "../../prepared-sender.ts";
import { apnsHeaders, apnsPayload } from "./apns-payload.ts";
import { fcmBody } from "./fcm-message.ts";
import type { PushMessage } from "./push-client.ts";

/** An attempt at a push as the channel's provider is told it. It needs none of the provider's settings. */
export function pushMessageOf(
  channel: "fcm" | "apns",
  attempt: AttemptFacts,
  token: string,
  now: EpochMs,
): PushMessage {
  const { notification, offset } = attempt;
  return channel === "fcm"
    ? { token, headers: {}, body: fcmBody(notification, offset, now, token) }
    : { token, headers: apnsHeaders(attempt), body: apnsPayload(notification, offset) };
}
