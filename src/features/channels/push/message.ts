import { createHash } from "node:crypto";
import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import { URGENT_PRIORITY } from "../../../http/api/shapes.ts";
import type { Attempt, NotificationFacts } from "../../delivery/channel.ts";

/** One message to one token, in the provider's format. */
export interface PushMessage {
  readonly token: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly body: string;
}

/** FCM keeps a message for at most four weeks. */
const FCM_MAX_TTL_MS = 28 * DAY_MS;
/** Apple's longest time to keep a notification; used for those without expiry. */
const APNS_KEPT_MS = 30 * DAY_MS;
const MAX_COLLAPSE_ID_BYTES = 64;

/**
 * Builds the push message of an attempt in the format of the channel's provider. Needs none of the
 * provider's settings.
 */
export function pushMessageOf(channel: "fcm" | "apns", attempt: Attempt, token: string, now: EpochMs): PushMessage {
  const { notification, offset } = attempt;
  return channel === "fcm"
    ? { token, headers: {}, body: fcmBody(notification, offset, now, token) }
    : { token, headers: apnsHeaders(attempt), body: apnsPayload(notification, offset) };
}

/**
 * The body of FCM's HTTP v1 `messages:send`. A repeated attempt is shown once: Android replaces the
 * notification with the same tag, iOS the one with the same collapse id. FCM's own collapse key
 * does not apply to messages it displays itself.
 */
function fcmBody(notification: NotificationFacts, offset: number, now: number, token: string): string {
  const { id, title, message, action } = notification;
  const build = (body: string, data: string | null): unknown => ({
    notification: { title, body },
    data: { notificationId: id, offset: String(offset), ...(data === null ? {} : { action: data }) },
    android: androidPart(notification, now),
    apns: applePart(notification),
  });
  const fitted = fitPush(message, action, (body, data) => JSON.stringify(build(body, data)));
  // The token does not count towards the 4 KiB.
  return `{"message":{"token":${JSON.stringify(token)},${fitted.slice(1)}}`;
}

function androidPart({ id, sound, priority, expiresAt }: NotificationFacts, now: number): unknown {
  return {
    priority: priority >= URGENT_PRIORITY ? "HIGH" : "NORMAL",
    ...(expiresAt === null ? {} : { ttl: `${secondsLeft(expiresAt, now)}s` }),
    // Android names a sound of the app without its file extension.
    notification: { tag: id, ...(sound === null ? {} : { sound: sound.replace(/\.[^.]+$/, "") }) },
  };
}

function applePart({ id, sound, priority, expiresAt }: NotificationFacts): unknown {
  const expiration = expiresAt === null ? {} : { "apns-expiration": String(Math.floor(expiresAt / 1000)) };
  return {
    headers: {
      "apns-priority": priority >= URGENT_PRIORITY ? "10" : "5",
      "apns-collapse-id": id,
      ...expiration,
    },
    ...(sound === null ? {} : { payload: { aps: { sound } } }),
  };
}

function secondsLeft(expiresAt: number, now: number): number {
  return Math.floor(Math.min(Math.max(0, expiresAt - now), FCM_MAX_TTL_MS) / 1000);
}

/**
 * The JSON of one push
 * (https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification).
 */
function apnsPayload(notification: NotificationFacts, offset: number): string {
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

/** One push's headers, the same at each attempt; the client adds topic and provider token. */
function apnsHeaders({ delivery, notification }: Attempt): Record<string, string> {
  const { id, priority, createdAt, expiresAt } = notification;
  return {
    "apns-id": delivery.id,
    "apns-push-type": "alert",
    // A repeated attempt is shown once.
    "apns-collapse-id": collapseId(id),
    "apns-expiration": String(Math.floor((expiresAt ?? createdAt + APNS_KEPT_MS) / 1000)),
    "apns-priority": priority >= URGENT_PRIORITY ? "10" : "5",
  };
}

function collapseId(id: string): string {
  return Buffer.byteLength(id) <= MAX_COLLAPSE_ID_BYTES ? id : createHash("sha256").update(id).digest("hex");
}

/** Size limit of both providers. */
const MAX_PUSH_BYTES = 4096;
/** Minimum room for the text. A larger action is omitted; the app fetches it by id. */
const MIN_TEXT_BYTES = 512;
const CUT = "…";

/**
 * The message within the providers' size limit. A long text is truncated with an ellipsis; an
 * action that leaves it too little room is omitted.
 * @param build builds the message's JSON from a text and an action.
 */
export function fitPush<A>(
  text: string,
  action: A | null,
  build: (text: string, action: A | null) => string,
  maxBytes = MAX_PUSH_BYTES,
): string {
  const room = Math.min(Buffer.byteLength(JSON.stringify(text)), MIN_TEXT_BYTES);
  const kept = Buffer.byteLength(build("", action)) + room <= maxBytes ? action : null;
  const whole = build(text, kept);
  if (Buffer.byteLength(whole) <= maxBytes) return whole;
  const characters = Array.from(text);
  const cutTo = (count: number): string => build(`${characters.slice(0, count).join("").trimEnd()}${CUT}`, kept);
  let [fits, tooMany] = [0, characters.length];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (Buffer.byteLength(cutTo(middle)) <= maxBytes) fits = middle;
    else tooMany = middle;
  }
  return cutTo(fits);
}
