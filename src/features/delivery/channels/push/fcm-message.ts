import type { NotificationFacts } from "../../sender.ts";
import { fitPush, URGENT_PRIORITY } from "./push-body.ts";

/** FCM keeps a message for four weeks at the most. */
const MAX_TTL_MS = 28 * 86_400_000;

/**
 * The body of `messages:send` of the FCM HTTP v1 API. An attempt that comes twice is shown once: Android replaces the notification with the same tag,
 * iOS the one with the same collapse id. FCM's own collapse key does not count for messages that it shows itself.
 */
export function fcmBody(notification: NotificationFacts, offset: number, now: number, token: string): string {
  const { id, title, message, action } = notification;
  const build = (body: string, data: string | null): unknown => ({
    notification: { title, body },
    data: { notificationId: id, offset: String(offset), ...(data === null ? {} : { action: data }) },
    android: androidPart(notification, now),
    apns: applePart(notification),
  });
  const fitted = fitPush(message, action, (body, data) => JSON.stringify(build(body, data)));
  // The token is none of the 4 KiB.
  return `{"message":{"token":${JSON.stringify(token)},${fitted.slice(1)}}`;
}

function androidPart({ id, sound, priority, expiresAt }: NotificationFacts, now: number): unknown {
  return {
    priority: priority >= URGENT_PRIORITY ? "HIGH" : "NORMAL",
    ...(expiresAt === null ? {} : { ttl: `${secondsLeft(expiresAt, now)}s` }),
    // Android names a sound of the app without the ending of its file.
    notification: { tag: id, ...(sound === null ? {} : { sound: sound.replace(/\.[^.]+$/, "") }) },
  };
}

function applePart({ id, sound, priority }: NotificationFacts): unknown {
  return {
    headers: { "apns-priority": priority >= URGENT_PRIORITY ? "10" : "5", "apns-collapse-id": id },
    ...(sound === null ? {} : { payload: { aps: { sound } } }),
  };
}

function secondsLeft(expiresAt: number, now: number): number {
  return Math.floor(Math.min(Math.max(0, expiresAt - now), MAX_TTL_MS) / 1000);
}
