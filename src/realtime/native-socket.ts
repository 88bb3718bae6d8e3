import type { TemplatedApp, WebSocket } from "uWebSockets.js";
import * as v from "valibot";
import { toRfc3339 } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import { uuidv7 } from "../base/ids.ts";
import { decodeUtf8, outlineJson } from "../base/json-text.ts";
import type { Principal } from "../base/principal.ts";
import { type Authenticator, fromSecret } from "../http/credentials.ts";
import { errorBody, toPrismError } from "../http/error-reply.ts";
import { checkShape, MAX_JSON_DEPTH } from "../http/input.ts";
import { integer, object } from "../http/shapes.ts";
import { uWS } from "../http/uws.ts";
import type { Connections, RealtimeAccess } from "./connections.ts";
import { eventFilter } from "./event-filter.ts";
import type { Hub } from "./hub.ts";
import {
  IDLE_TIMEOUT_S,
  LIBRARY_MAX_MESSAGE_BYTES,
  LiveSocket,
  MAX_BUFFERED_BYTES,
  MAX_MESSAGE_BYTES,
  type SocketProtocol,
  TopicBroadcaster,
} from "./live-socket.ts";
import { parseStreamName, type StreamEntry, type StreamRef, streamName } from "./stream.ts";
import { type UpgradeParts, upgrade } from "./upgrade.ts";

export interface NativeParts extends UpgradeParts {
  readonly app: TemplatedApp;
  readonly hub: Hub;
  readonly access: RealtimeAccess;
  readonly authenticator: Authenticator;
  readonly connections: Connections;
  readonly compression: boolean;
  /** A recipient's entry has reached a client. */
  markDelivered(userId: string, offset: number): void;
  /** The client says it has handled everything of its own stream up to this offset. */
  markDeliveredUpTo(userId: string, offset: number): Promise<void>;
}

const HEARTBEAT_MS = 30_000;
const MAX_SUBSCRIPTIONS = 64;

const id = v.optional(v.pipe(v.string(), v.maxLength(64)));
const stream = v.pipe(v.string(), v.maxLength(160));

/** What a client may say (contract 5.2). */
const ClientMessage = v.variant("op", [
  object({
    op: v.literal("subscribe"),
    id,
    stream,
    from: v.optional(v.union([integer(0, Number.MAX_SAFE_INTEGER), v.picklist(["latest", "earliest"])])),
    filter: v.optional(
      object({
        type: v.optional(v.pipe(v.string(), v.maxLength(100))),
        level: v.optional(v.pipe(v.array(v.string()), v.maxLength(5))),
      }),
    ),
    ack: v.optional(v.boolean()),
  }),
  object({ op: v.literal("unsubscribe"), id, stream }),
  object({ op: v.literal("ack"), id, stream, offset: integer(0, Number.MAX_SAFE_INTEGER) }),
  object({ op: v.literal("ping"), id }),
  object({ op: v.literal("auth"), id, token: v.pipe(v.string(), v.maxLength(8192)) }),
]);
type ClientMessage = v.InferOutput<typeof ClientMessage>;

export const nativeProtocol: SocketProtocol = {
  transport: "websocket",
  entryText: (name, entry) =>
    `{"op":"event","stream":${JSON.stringify(name)},"offset":${entry.offset},"type":${JSON.stringify(entry.type)},"data":${entry.data},"ts":"${toRfc3339(entry.at)}","correlationId":${JSON.stringify(entry.correlationId)}}`,
  gapText: (name, gap) => JSON.stringify({ op: "gap", stream: name, ...gap }),
  readEntry: (text) => {
    const { stream: name, offset } = JSON.parse(text) as { stream: string; offset: number };
    return { stream: name, offset };
  },
  expiringText: (expiresAt) => JSON.stringify({ op: "auth_expiring", expiresAt: toRfc3339(expiresAt) }),
};

interface SocketData {
  readonly principal: Principal;
  readonly address: string;
  session: NativeSession | null;
}

/** Puts `/ws` on the server. */
export function serveNativeSocket(parts: NativeParts): void {
  const broadcaster = new TopicBroadcaster(parts.app, nativeProtocol);
  parts.app.ws<SocketData>("/ws", {
    maxPayloadLength: LIBRARY_MAX_MESSAGE_BYTES,
    maxBackpressure: MAX_BUFFERED_BYTES,
    idleTimeout: IDLE_TIMEOUT_S,
    sendPingsAutomatically: false,
    compression: parts.compression ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
    upgrade: (res, req, context) =>
      upgrade<SocketData>(parts, res, req, context, (exchange, principal) => ({
        principal,
        address: exchange.clientAddress,
        session: null,
      })),
    open: (ws) => {
      const data = ws.getUserData();
      data.session = new NativeSession(ws, data, parts, broadcaster);
    },
    message: (ws, message, isBinary) => ws.getUserData().session?.message(Buffer.from(message), isBinary),
    drain: (ws) => ws.getUserData().session?.socket.drained(),
    dropped: (ws, message) => ws.getUserData().session?.socket.dropped(Buffer.from(message).toString()),
    pong: (ws) => ws.getUserData().session?.socket.ponged(),
    ping: (ws) => ws.getUserData().session?.socket.ponged(),
    close: (ws) => ws.getUserData().session?.closed(),
  });
}

/** The conversation of one client. */
class NativeSession {
  readonly socket: LiveSocket;
  readonly #parts: NativeParts;
  readonly #connectionId = uuidv7();

  constructor(ws: WebSocket<SocketData>, data: SocketData, parts: NativeParts, broadcaster: TopicBroadcaster) {
    this.#parts = parts;
    const { hub, access } = parts;
    this.socket = new LiveSocket(ws as WebSocket<unknown>, data.principal, data.address, {
      hub,
      access,
      protocol: nativeProtocol,
      broadcaster,
    });
    parts.connections.add(this.socket);
    this.#say({
      op: "welcome",
      connectionId: this.#connectionId,
      userId: data.principal.kind === "apiKey" ? null : data.principal.userId,
      serverTime: toRfc3339(Date.now()),
      heartbeatMs: HEARTBEAT_MS,
    });
  }

  message(bytes: Buffer, isBinary: boolean): void {
    if (!this.socket.receive()) return;
    if (bytes.length > MAX_MESSAGE_BYTES) return this.socket.close("tooBig");
    const value = isBinary ? undefined : parseMessage(bytes);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return this.socket.close("malformed");
    const messageId = "id" in value && typeof value.id === "string" ? value.id.slice(0, 64) : undefined;
    try {
      this.#answer(checkShape(ClientMessage, value, "body"));
    } catch (error) {
      this.#refuse(messageId, error);
    }
  }

  closed(): void {
    this.socket.closed();
    this.#parts.connections.delete(this.socket);
  }

  #answer(message: ClientMessage): void {
    switch (message.op) {
      case "subscribe":
        return this.#subscribe(message);
      case "unsubscribe": {
        const ref = this.#streamOf(message.stream);
        this.socket.unsubscribe(ref);
        return this.#say({ op: "unsubscribed", id: message.id, stream: streamName(ref) });
      }
      case "ack":
        return this.#acknowledge(message);
      case "ping":
        return this.#say({ op: "pong", id: message.id, ts: toRfc3339(Date.now()) });
      case "auth":
        void this.#authenticate(message);
    }
  }

  #subscribe({
    id: messageId,
    stream: name,
    from = "latest",
    filter,
    ack,
  }: Extract<ClientMessage, { op: "subscribe" }>): void {
    const ref = this.#streamOf(name);
    if (!this.#parts.access.maySubscribe(this.socket.principal, ref)) {
      throw new PrismError("CHANNEL_FORBIDDEN", "You may not follow this stream, or there is none");
    }
    if (this.socket.subscriptionCount >= MAX_SUBSCRIPTIONS && !this.socket.has(ref)) {
      throw new PrismError("RATE_LIMITED", `A connection may follow ${MAX_SUBSCRIPTIONS} streams`);
    }
    const countsAsDelivered = ref.kind === "user" && ack !== true;
    this.socket.subscribe(
      ref,
      {
        from,
        accepts: filter && eventFilter(filter),
        // User streams are written to each socket by itself, to know that it was taken.
        onTaken: ref.kind === "user" ? (entry) => this.#taken(ref.userId, entry, countsAsDelivered) : undefined,
      },
      () => this.#say({ op: "subscribed", id: messageId, stream: streamName(ref), offset: this.#parts.hub.head(ref) }),
    );
  }

  #taken(userId: string, entry: StreamEntry, countsAsDelivered: boolean): void {
    if (countsAsDelivered && entry.type === "notification") this.#parts.markDelivered(userId, entry.offset);
  }

  #acknowledge({ id: messageId, stream: name, offset }: Extract<ClientMessage, { op: "ack" }>): void {
    const ref = this.#streamOf(name);
    const { principal } = this.socket;
    if (ref.kind !== "user" || principal.kind === "apiKey" || principal.userId !== ref.userId) {
      throw new PrismError("CHANNEL_FORBIDDEN", "Only your own stream can be acknowledged");
    }
    this.#parts.markDeliveredUpTo(ref.userId, offset).then(
      () => this.#say({ op: "acked", id: messageId, stream: streamName(ref), offset }),
      (error: unknown) => this.#refuse(messageId, error),
    );
  }

  async #authenticate({ id: messageId, token }: Extract<ClientMessage, { op: "auth" }>): Promise<void> {
    try {
      const principal = await this.#parts.authenticator.authenticate(fromSecret(token));
      if (principal.key !== this.socket.principal.key) {
        throw new PrismError("FORBIDDEN", "The token is another caller's; connect anew");
      }
      this.socket.renew(principal);
      const expiresAt = Number.isFinite(principal.expiresAt) ? toRfc3339(principal.expiresAt) : null;
      this.#say({ op: "authenticated", id: messageId, expiresAt });
    } catch (error) {
      this.#refuse(messageId, error);
    }
  }

  #streamOf(name: string): StreamRef {
    const { principal } = this.socket;
    if (name === "user:me" && principal.kind !== "apiKey") return { kind: "user", userId: principal.userId };
    const ref = parseStreamName(name);
    if (!ref) throw new PrismError("CHANNEL_FORBIDDEN", "You may not follow this stream, or there is none");
    return ref;
  }

  #refuse(messageId: string | undefined, error: unknown): void {
    this.#say({ op: "error", id: messageId, ...errorBody(toPrismError(error), this.#connectionId) });
  }

  #say(message: Readonly<Record<string, unknown>>): void {
    this.socket.send(JSON.stringify(message));
  }
}

/** @returns undefined for what is not JSON, or nests too deep. */
function parseMessage(bytes: Buffer): unknown {
  const text = decodeUtf8(bytes);
  if (text === undefined || outlineJson(text, MAX_JSON_DEPTH).depth > MAX_JSON_DEPTH) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
