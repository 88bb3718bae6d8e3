import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import type { CloseReason } from "../../connections.ts";
import type { Closing, SocketProtocol } from "../../live-socket.ts";
import type { StreamEntry } from "../../stream.ts";
import { channelOf, isUserId } from "./pusher-channel.ts";

/** What Pusher takes as the data of one event (docs/pusher.md). */
export const MAX_DATA_BYTES = 10_240;

/** Users that one user may watch, as at Pusher. */
export const MAX_WATCHLIST = 100;

/**
 * Pusher's codes (pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol): a
 * client stays away after 4000 to 4099, comes back in a second after 4100 to 4199 and at once after
 * 4200 to 4299; with the others it may stay.
 */
export const PUSHER_CODE = {
  unknownKey: 4001,
  overQuota: 4004,
  unsupportedProtocol: 4007,
  noProtocol: 4008,
  unauthorised: 4009,
  overloaded: 4100,
  restart: 4200,
  noPong: 4201,
  idle: 4202,
  other: 4300,
  clientEventRate: 4301,
} as const;

/** What a client may say. Libraries send members of their own besides. */
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

/** Who a member of a presence channel is: the content of `channel_data`. */
export const ChannelData = v.object({
  // A number stays one: clients compare the id with their own.
  user_id: v.union([v.pipe(v.string(), v.minLength(1), v.maxLength(128)), v.pipe(v.number(), v.safeInteger())]),
  user_info: v.optional(v.unknown()),
});

export const ToSignIn = v.object({ auth: v.string(), user_data: v.string() });

/**
 * Who signs in: the content of `user_data`. Members that a backend adds for its own clients are
 * ignored.
 */
export const UserData = v.object({
  id: v.pipe(
    v.union([v.string(), v.pipe(v.number(), v.safeInteger())]),
    v.transform(String),
    v.check(isUserId, "must be 1 to 128 characters without control characters"),
  ),
  user_info: v.optional(v.unknown()),
  watchlist: v.optional(v.pipe(v.array(v.pipe(v.string(), v.check(isUserId))), v.maxLength(MAX_WATCHLIST)), []),
});

/** Checks what a client said. @throws VALIDATION_FAILED, which names the first problem */
export function parseMessage<T>(shape: v.GenericSchema<unknown, T>, value: unknown): T {
  const result = v.safeParse(shape, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new PrismError(
    "VALIDATION_FAILED",
    `The message is not valid: ${v.getDotPath(issue) ?? "data"}: ${issue.message}`,
  );
}

/** A message of the server: its data are JSON, once more as a string. */
export function said(event: string, data: unknown, channel?: string): string {
  return JSON.stringify({ event, ...(channel === undefined ? {} : { channel }), data: JSON.stringify(data) });
}

export function errorText(code: number, message: string): string {
  return said("pusher:error", { code, message });
}

/** The last words of a connection, and its close code. */
export function closing(code: number, message: string): Closing {
  return { code, text: errorText(code, message) };
}

/**
 * The data of what a client sends to other clients, as a JSON string. @returns undefined when they
 * are too large
 */
export function clientData(data: unknown): string | undefined {
  const text = typeof data === "string" ? data : JSON.stringify(data ?? null);
  return isTooLarge(text) ? undefined : JSON.stringify(text);
}

const CLOSINGS: Readonly<Record<CloseReason, Closing>> = {
  tooSlow: closing(PUSHER_CODE.overloaded, "The connection is too slow"),
  internal: closing(PUSHER_CODE.overloaded, "Something failed on the server"),
  restart: closing(PUSHER_CODE.restart, "The server stops; connect again"),
  idle: closing(PUSHER_CODE.idle, "Nothing was subscribed to in time"),
  unauthenticated: closing(PUSHER_CODE.unauthorised, "The session has ended"),
  // The client comes back and asks its auth route again: a newer token gets its channels back, an
  // ended one gets none.
  expired: closing(PUSHER_CODE.restart, "The token has ended; connect again"),
  forbidden: closing(PUSHER_CODE.unauthorised, "The connection may not follow one of its channels any more"),
  notFound: closing(PUSHER_CODE.unauthorised, "What one of the connection's channels stands for is gone"),
  rate: closing(PUSHER_CODE.overQuota, "Too many messages"),
  tooBig: closing(PUSHER_CODE.other, "The message is too large"),
  malformed: closing(PUSHER_CODE.other, "The message is no JSON object"),
};

/** How a stream looks to a client of Pusher. */
export const pusherProtocol: SocketProtocol = {
  transport: "pusher",
  staysAnonymous: true,
  // Signing in comes before the first subscription, with a watchlist of up to a hundred ids.
  maxPendingMessageBytes: 16_384,
  entryText(stream, entry) {
    const channel = channelOf(stream);
    const isEvent = stream.startsWith("project:");
    const isTriggered = stream.startsWith("pusher:");
    const data = isTriggered ? triggeredData(entry) : JSON.stringify(isEvent ? eventData(entry) : userData(entry));
    const sentBy = entry.sentBy === undefined ? "" : `,"user_id":${JSON.stringify(entry.sentBy)}`;
    return `{"event":${JSON.stringify(isEvent ? "event" : entry.type)},"channel":${JSON.stringify(channel)},"data":${data}${sentBy}}`;
  },
  gapText: (stream, gap) => said("gap", gap, channelOf(stream)),
  closing: (reason) => CLOSINGS[reason],
  silent: closing(PUSHER_CODE.noPong, "No pong came in time"),
};

/** What was triggered is kept as a JSON string already. */
function triggeredData({ data }: StreamEntry): string {
  return data.startsWith('"') ? data : JSON.stringify(data);
}

function eventData({ data, offset }: StreamEntry): string {
  return `{"offset":${offset},${data.slice(1)}`;
}

/**
 * An entry of a user's stream: the object with `offset`; of a larger one than Pusher would take,
 * where it can be fetched.
 */
function userData({ data, offset, type }: StreamEntry): string {
  const isWhole = !isTooLarge(data);
  // Nearly all are, and a notification says itself where it stands.
  if (isWhole && type === "notification") return data;
  const value: unknown = JSON.parse(data);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return data;
  if (isWhole || !("id" in value)) return "offset" in value ? data : JSON.stringify({ ...value, offset });
  const { id } = value;
  return JSON.stringify({ id, truncated: true, fetch: `/api/v1/notifications/${String(id)}`, offset });
}

function isTooLarge(text: string): boolean {
  // UTF-8 takes one to three bytes for a unit of UTF-16.
  if (text.length * 3 <= MAX_DATA_BYTES) return false;
  return text.length > MAX_DATA_BYTES || Buffer.byteLength(text) > MAX_DATA_BYTES;
}
