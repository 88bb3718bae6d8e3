import * as v from "valibot";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { integer, object, openObject } from "../../../http/api/shapes.ts";
import { CLOSE, type CloseReason } from "../../connections.ts";
import type { Closing, SocketProtocol } from "../../socket-protocol.ts";
import { MAX_STREAM_LENGTH, type StreamEntry, type StreamGap } from "../../stream.ts";
import { TOKEN } from "../stream-requests.ts";
import { taskProtocol } from "../task-socket.ts";
import { EVENT_PREFIX } from "./engine.ts";

const stream = v.pipe(v.string("must be a string"), v.maxLength(MAX_STREAM_LENGTH));
const offset = integer(0, Number.MAX_SAFE_INTEGER);

/** `auth` of the handshake. Members that applications add are ignored. */
export const Handshake = openObject({
  token: v.nullish(TOKEN),
  /** Offset of the last handled entry of the user's own stream. */
  offset: v.nullish(offset),
  /** The client acknowledges entries itself. */
  ack: v.nullish(v.boolean("must be true or false")),
});

/** Events of a client (docs/socketio.md): the one argument of each. */
export const CLIENT_EVENTS = {
  subscribe: object({ stream, from: v.optional(v.union([offset, v.picklist(["latest", "earliest"])])) }),
  unsubscribe: object({ stream }),
  ack: object({ offset }),
  "notification:read": object({ id: v.pipe(v.string("must be a string"), v.maxLength(64)) }),
  auth: object({ token: TOKEN }),
} as const;
export type ClientEvent = keyof typeof CLIENT_EVENTS;
export type MessageOf<E extends ClientEvent> = v.InferOutput<(typeof CLIENT_EVENTS)[E]>;

/**
 * After these reasons the client library does not reconnect: it would be refused again. After
 * `expired` it reconnects once: the application may have a newer token, and an expired one gets a
 * `connect_error`, after which the library stops.
 */
const FINAL: ReadonlySet<string> = new Set<CloseReason>([
  "tooBig",
  "malformed",
  "unauthenticated",
  "forbidden",
  "notFound",
  "rate",
  "idle",
]);

export function isFinal(reason: string): boolean {
  return FINAL.has(reason);
}

/** An event as an Engine.IO message. @param payload JSON text */
export function eventText(name: string, payload: string): string {
  return `${EVENT_PREFIX}[${JSON.stringify(name)},${payload}]`;
}

/** The namespace that packets do not name. */
export const MAIN_NAMESPACE = "/";

/**
 * @param packet an Engine.IO message with a packet of the main namespace @returns the same for
 * another namespace
 */
export function inNamespace(namespace: string, packet: string): string {
  if (namespace === MAIN_NAMESPACE) return packet;
  return `${packet.slice(0, EVENT_PREFIX.length)}${namespace},${packet.slice(EVENT_PREFIX.length)}`;
}

/** The last event of a session. */
export function closingOf(reason: CloseReason): Closing {
  const code = CLOSE[reason];
  const why = { code, reason, reconnect: !FINAL.has(reason) };
  return { code, text: eventText("closing", JSON.stringify(why)) };
}

/** Messages that carry streams. */
export const socketIoProtocol: SocketProtocol = {
  transport: "socketio",
  entryText: cachedPerEntry((stream, entry) => eventText(...eventOf(stream, entry))),
  gapText: (stream: string, gap: StreamGap) => eventText("gap", JSON.stringify({ stream, ...gap })),
  expiringText: (expiresAt: EpochMs) => eventText("auth:expiring", JSON.stringify({ expiresAt: toRfc3339(expiresAt) })),
  closing: closingOf,
};

/** Caches the last text: sockets of one stream receive the same, one after the other. */
function cachedPerEntry(
  textOf: (stream: string, entry: StreamEntry) => string,
): (stream: string, entry: StreamEntry) => string {
  let last: { readonly stream: string; readonly entry: StreamEntry; readonly text: string } | null = null;
  return (stream, entry) => {
    if (last?.entry !== entry || last.stream !== stream) last = { stream, entry, text: textOf(stream, entry) };
    return last.text;
  };
}

/** The event name and payload of an entry. */
function eventOf(stream: string, entry: StreamEntry): [name: string, payload: string] {
  const { type, data, offset } = entry;
  const kind = stream.slice(0, stream.indexOf(":"));
  if (kind === "channel") return ["channel", wholeEntry(stream, entry)];
  if (kind === "tasks")
    return ["task", withMembers(taskProtocol.entryText(stream, entry), `"stream":${JSON.stringify(stream)}`)];
  if (kind === "project") return ["event", withMembers(data, `"stream":${JSON.stringify(stream)},"offset":${offset}`)];
  // Modules may publish any JSON to a user.
  if (!data.startsWith("{")) return ["entry", wholeEntry(stream, entry)];
  if (kind === "user") {
    if (type === "notification") return [type, data];
    if (CHANGE.test(type)) return [type.replace(".", ":"), withOwnOffset(entry)];
  }
  return COUNTED.has(type) ? [type, withMembers(data, `"offset":${offset}`)] : ["entry", wholeEntry(stream, entry)];
}

/** Types of changes to a notification. */
const CHANGE = /^notification\.[a-z]+$/;
/** Entries whose data is sent with their offset added. */
const COUNTED: ReadonlySet<string> = new Set(["unread-count", "message", "message:status"]);

/** The data of a change names the notification's offset; the payload has the entry's own offset. */
function withOwnOffset({ data, offset }: StreamEntry): string {
  return JSON.stringify({ ...(JSON.parse(data) as object), offset });
}

/** @param object JSON text of an object without these members */
function withMembers(object: string, members: string): string {
  return object === "{}" ? `{${members}}` : `${object.slice(0, -1)},${members}}`;
}

/** The payload of an entry whose data may be any JSON. */
function wholeEntry(stream: string, { offset, type, data, at, correlationId }: StreamEntry): string {
  const head = JSON.stringify({ stream, offset, type, ts: toRfc3339(at), correlationId });
  return `${head.slice(0, -1)},"data":${data}}`;
}
