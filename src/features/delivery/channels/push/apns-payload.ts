import { createHash } from "node:crypto";
import { DAY_MS } from "../../../../core/clock.ts";
import type { AttemptFacts } from "../../prepared-sender.ts";
import type { NotificationFacts } from "../../sender.ts";
import { fitPush, URGENT_PRIORITY } from "./push-body.ts";

/** How long Apple keeps a notification that does not expire by itself; it keeps none longer. */
const KEPT_MS = 30 * DAY_MS;
const MAX_COLLAPSE_ID_BYTES = 64;

/** The JSON of one push (https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification). */
export function apnsPayload(notification: NotificationFacts, offset: number): string {
  const { id, title, message, sound, action } = notification;
  return fitPush(message, action === null ? null : (JSON.parse(action) as unknown), (body, data) =>
    JSON.stringify({
      aps: { alert: { title, body }, ...(sound === null ? {} : { sound }) },
      notificationId: id,
      offset,
      ...(data === null ? {} : { action: data }),
    }),
  );
}

/** The headers of one push, the same for each attempt at it; the app's topic and the provider token are the client's to add. */
export function apnsHeaders({ delivery, notification }: AttemptFacts): Record<string, string> {
  const { id, priority, createdAt, expiresAt } = notification;
  return {
    "apns-id": delivery.id,
    "apns-push-type": "alert",
    // An attempt that comes twice is shown once.
    "apns-collapse-id": collapseId(id),
    "apns-expiration": String(Math.floor((expiresAt ?? createdAt + KEPT_MS) / 1000)),
    "apns-priority": priority >= URGENT_PRIORITY ? "10" : "5",
  };
}

function collapseId(id: string): string {
  return Buffer.byteLength(id) <= MAX_COLLAPSE_ID_BYTES ? id : createHash("sha256").update(id).digest("hex");
}
