import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import type { CloseReason } from "../../connections.ts";
import type { Closing, SocketProtocol } from "../../socket-protocol.ts";
import type { StreamEntry } from "../../stream.ts";
import { channelOf, isUserId } from "./pusher-channel.ts";

/** Pusher's limit for the data of one event (docs/pusher.md). */
export const MAX_DATA_BYTES = 10_240;

/** Pusher's limit for the users that one user watches. */
export const MAX_WATCHLIST = 100;

/**
 * Pusher's codes (pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol):
 * clients do not reconnect after 4000 to 4099, reconnect in a second after 4100 to 4199 and at once
 * after 4200 to 4299.
 */
export const PUSHER_CODE = {
  unknownKey: 4001,
  overQuota: 4004,
  unsupportedProtocol: 4007,
  noProtocol: 4008,
  unauthorised: 4009,
  overloaded: 4100,
  // Not 4200: right after a stop nothing listens, and after one failed attempt pusher-js waits 15 s.
  restart: 4100,
  renewToken: 4200,
  noPong: 4201,
  idle: 4202,
  other: 4300,
  clientEventRate: 4301,
} as const;

/** A message of a client. Libraries add members of their own. */
export const ClientMessage = v.object({
  event: v.pipe(v.string(), v.maxLength(200)),
  channel: v.nullish(v.string()),
  data: v.optional(v.unknown()),
});

export const ToSubscribe = v.object({
  channel: v.string(),
  auth: v.nullish(v.string()),
  channel_data: v.nullish(v.string()),
});

export const ToUnsubscribe = v.object({ channel: v.string() });

/** The content of `channel_data`: a member of a presence channel. */
export const ChannelData = v.object({
  // A number stays a number: clients compare the id with their own.
  user_id: v.union([v.pipe(v.string(), v.minLength(1), v.maxLength(128)), v.pipe(v.number(), v.safeInteger())]),
  user_info: v.optional(v.unknown()),
});

export const ToSignIn = v.object({ auth: v.string(), user_data: v.string() });

/** The content of `user_data`: the user who signs in. Other members are ignored. */
export const UserData = v.object({
  id: v.pipe(
    v.union([v.string(), v.pipe(v.number(), v.safeInteger())]),
    v.transform(String),
    v.check(isUserId, "must be 1 to 128 characters without control characters"),
  ),
  user_info: v.optional(v.unknown()),
  watchlist: v.optional(v.pipe(v.array(v.pipe(v.string(), v.check(isUserId))), v.maxLength(MAX_WATCHLIST)), []),
});

/** Validates a client's message. @throws VALIDATION_FAILED, which names the first problem */
export function parseMessage<T>(shape: v.GenericSchema<unknown, T>, value: unknown): T {
  const result = v.safeParse(shape, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new PrismError(
    "VALIDATION_FAILED",
    `The message is not valid: ${v.getDotPath(issue) ?? "data"}: ${issue.message}`,
  );
}

/** A message of the server. Its data is JSON, encoded again as a string. */
export function messageText(event: string, data: unknown, channel?: string): string {
  return JSON.stringify({ event, ...(channel === undefined ? {} : { channel }), data: JSON.stringify(data) });
}

export function errorText(code: number, message: string): string {
  return messageText("pusher:error", { code, message });
}

export function closing(code: number, message: string): Closing {
  return { code, text: errorText(code, message) };
}

/** The data of a client event, as a JSON string. @returns undefined when it is too large */
export function clientData(data: unknown): string | undefined {
  const text = typeof data === "string" ? data : JSON.stringify(data ?? null);
  return isTooLarge(text) ? undefined : JSON.stringify(text);
}

const CLOSINGS: Readonly<Record<CloseReason, Closing>> = {
  tooSlow: closing(PUSHER_CODE.overloaded, "The connection is too slow"),
  internal: closing(PUSHER_CODE.overloaded, "The server had an internal error"),
  restart: closing(PUSHER_CODE.restart, "The server is stopping; connect again"),
  idle: closing(PUSHER_CODE.idle, "No subscription was made in time"),
  unauthenticated: closing(PUSHER_CODE.unauthorised, "The session has ended"),
  // The client reconnects and calls its auth route again: with a newer token it gets its channels
  // back.
  expired: closing(PUSHER_CODE.renewToken, "The token has expired; connect again"),
  forbidden: closing(PUSHER_CODE.unauthorised, "The connection may no longer follow one of its channels"),
  notFound: closing(PUSHER_CODE.unauthorised, "One of the connection's channels no longer exists"),
  rate: closing(PUSHER_CODE.overQuota, "Too many messages"),
  tooBig: closing(PUSHER_CODE.other, "The message is too large"),
  malformed: closing(PUSHER_CODE.other, "The message is no JSON object"),
};

/** Streams as messages of the Pusher protocol. */
export const pusherProtocol: SocketProtocol = {
  transport: "pusher",
  staysAnonymous: true,
  // Sign-in precedes the first subscription and carries a watchlist of up to 100 ids.
  maxPendingMessageBytes: 16_384,
  entryText(stream, entry) {
    const channel = channelOf(stream);
    const isEvent = stream.startsWith("project:");
    const isTriggered = stream.startsWith("pusher:");
    const data = isTriggered ? triggeredData(entry) : JSON.stringify(isEvent ? eventData(entry) : userData(entry));
    const sentBy = entry.sentBy === undefined ? "" : `,"user_id":${JSON.stringify(entry.sentBy)}`;
    const event = JSON.stringify(isEvent ? "event" : entry.type);
    return `{"event":${event},"channel":${JSON.stringify(channel)},"data":${data}${sentBy}}`;
  },
  gapText: (stream, gap) => messageText("gap", gap, channelOf(stream)),
  closing: (reason) => CLOSINGS[reason],
  silence: closing(PUSHER_CODE.noPong, "No pong arrived in time"),
};

/** Triggered data is stored as a JSON string. */
function triggeredData({ data }: StreamEntry): string {
  return data.startsWith('"') ? data : JSON.stringify(data);
}

function eventData({ data, offset }: StreamEntry): string {
  return `{"offset":${offset},${data.slice(1)}`;
}

/**
 * An entry of a user's stream with its `offset`. One that exceeds Pusher's limit is replaced by the
 * address to fetch it from.
 */
function userData({ data, offset, type }: StreamEntry): string {
  const isWhole = !isTooLarge(data);
  // The usual case. A notification already contains its offset.
  if (isWhole && type === "notification") return data;
  const value: unknown = JSON.parse(data);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return data;
  if (isWhole || !("id" in value)) return "offset" in value ? data : JSON.stringify({ ...value, offset });
  const { id } = value;
  return JSON.stringify({ id, truncated: true, fetch: `/api/v1/notifications/${String(id)}`, offset });
}

function isTooLarge(text: string): boolean {
  // UTF-8 needs one to three bytes for a UTF-16 unit.
  if (text.length * 3 <= MAX_DATA_BYTES) return false;
  return text.length > MAX_DATA_BYTES || Buffer.byteLength(text) > MAX_DATA_BYTES;
}
