import { toRfc3339 } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import { uuidv7 } from "../base/ids.ts";
import { type Authenticator, fromSecret } from "../http/credentials.ts";
import { errorBody, toPrismError } from "../http/error-reply.ts";
import { checkShape } from "../http/input.ts";
import { eventFilter } from "./event-filter.ts";
import type { LiveSocket } from "./live-socket.ts";
import { ClientMessage, MAX_ID_LENGTH, nativeProtocol } from "./native-message.ts";
import { type Session, type SocketRouteParts, serveSocketRoute } from "./socket-route.ts";
import { resolveStreamName, type StreamEntry, type StreamRef, streamName } from "./stream.ts";

export interface NativeParts extends SocketRouteParts {
  readonly authenticator: Authenticator;
  /** The project whose channels need not name it. */
  readonly defaultProjectId: string;
  /** A recipient's entry has reached a client. */
  markDelivered(userId: string, offset: number): void;
  /** The client says it has handled everything of its own stream up to this offset. */
  markDeliveredUpTo(userId: string, offset: number): Promise<void>;
}

const HEARTBEAT_MS = 30_000;
const MAX_SUBSCRIPTIONS = 64;

type Said<Op extends ClientMessage["op"]> = Extract<ClientMessage, { op: Op }>;

/** Puts `/ws` on the server. */
export function serveNativeSocket(parts: NativeParts): void {
  serveSocketRoute(parts, {
    paths: ["/ws"],
    protocol: nativeProtocol,
    prepare: (_exchange, { requestId }) => requestId,
    open: (socket, requestId) => new NativeSession(socket, requestId, parts),
  });
}

/** The conversation of one client (contract 5.2). */
class NativeSession implements Session {
  readonly #socket: LiveSocket;
  readonly #requestId: string;
  readonly #parts: NativeParts;

  constructor(socket: LiveSocket, requestId: string, parts: NativeParts) {
    this.#socket = socket;
    this.#requestId = requestId;
    this.#parts = parts;
    const { principal } = socket;
    this.#say({
      op: "welcome",
      connectionId: uuidv7(),
      userId: principal.kind === "apiKey" ? null : principal.userId,
      serverTime: toRfc3339(parts.clock.now()),
      heartbeatMs: HEARTBEAT_MS,
    });
  }

  message(message: object): void {
    try {
      this.#answer(checkShape(ClientMessage, message, "body"));
    } catch (error) {
      this.#refuse(idOf(message), error);
    }
  }

  #answer(message: ClientMessage): void {
    switch (message.op) {
      case "subscribe":
        return this.#subscribe(message);
      case "unsubscribe":
        return this.#unsubscribe(message);
      case "ack":
        return this.#acknowledge(message);
      case "ping":
        return this.#say({ op: "pong", id: message.id, ts: toRfc3339(this.#parts.clock.now()) });
      case "auth":
        this.#authenticate(message);
    }
  }

  #subscribe({ id, stream: name, from = "latest", filter, ack }: Said<"subscribe">): void {
    const stream = this.#streamOf(name);
    if (this.#parts.access.check(this.#socket.principal, stream) !== "allowed") throw forbidden();
    if (this.#socket.subscriptionCount >= MAX_SUBSCRIPTIONS && !this.#socket.has(stream)) {
      throw new PrismError("RATE_LIMITED", `A connection may follow ${MAX_SUBSCRIPTIONS} streams`);
    }
    const options = {
      from,
      accepts: filter && eventFilter(filter),
      // User streams are written to each socket by itself, to know that it was taken.
      onTaken: stream.kind === "user" ? this.#takenBy(stream.userId, ack === true) : undefined,
    };
    const offset = this.#parts.hub.head(stream);
    this.#socket.subscribe(stream, options, () =>
      this.#say({ op: "subscribed", id, stream: streamName(stream), offset }),
    );
  }

  /** What a socket has taken counts as delivered, unless its client says so itself. */
  #takenBy(userId: string, isAcknowledging: boolean): (entry: StreamEntry) => void {
    return (entry) => {
      if (isAcknowledging || entry.type !== "notification" || entry.isDelivered) return;
      this.#parts.markDelivered(userId, entry.offset);
    };
  }

  #unsubscribe({ id, stream: name }: Said<"unsubscribe">): void {
    const stream = this.#streamOf(name);
    this.#socket.unsubscribe(stream);
    this.#say({ op: "unsubscribed", id, stream: streamName(stream) });
  }

  #acknowledge({ id, stream: name, offset }: Said<"ack">): void {
    const stream = this.#streamOf(name);
    const { principal } = this.#socket;
    if (stream.kind !== "user" || principal.kind === "apiKey" || principal.userId !== stream.userId) {
      throw new PrismError("CHANNEL_FORBIDDEN", "Only your own stream can be acknowledged");
    }
    this.#parts.markDeliveredUpTo(stream.userId, offset).then(
      () => this.#say({ op: "acked", id, stream: streamName(stream), offset }),
      (error: unknown) => this.#refuse(id, error),
    );
  }

  #authenticate({ id, token }: Said<"auth">): void {
    try {
      const principal = this.#parts.authenticator.authenticate(fromSecret(token));
      if (principal.key !== this.#socket.principal.key) {
        throw new PrismError("FORBIDDEN", "The token is another caller's; connect anew");
      }
      const expiresAt = Number.isFinite(principal.expiresAt) ? toRfc3339(principal.expiresAt) : null;
      this.#say({ op: "authenticated", id, expiresAt });
      this.#socket.renew(principal);
    } catch (error) {
      this.#refuse(id, error);
    }
  }

  #streamOf(name: string): StreamRef {
    const { principal } = this.#socket;
    const userId = principal.kind === "apiKey" ? null : principal.userId;
    const stream = resolveStreamName(name, { userId, defaultProjectId: this.#parts.defaultProjectId });
    if (!stream) throw forbidden();
    return stream;
  }

  /** The connection stays. The request id is the upgrade's: it is what the log knows this connection by. */
  #refuse(id: string | undefined, thrown: unknown): void {
    const error = toPrismError(thrown);
    if (error.code === "INTERNAL") {
      this.#parts.log.error({ requestId: this.#requestId, err: error.cause }, "a client's message failed");
    }
    this.#say({ op: "error", id, ...errorBody(error, this.#requestId) });
  }

  #say(message: Readonly<Record<string, unknown>>): void {
    this.#socket.send(JSON.stringify(message));
  }
}

/** Also said of streams that do not exist: whoever may not follow them learns nothing. */
function forbidden(): PrismError {
  return new PrismError("CHANNEL_FORBIDDEN", "You may not follow this stream, or there is none");
}

/** The id of a message that may be wrong in any other way. */
function idOf(message: object): string | undefined {
  return "id" in message && typeof message.id === "string" ? message.id.slice(0, MAX_ID_LENGTH) : undefined;
}
