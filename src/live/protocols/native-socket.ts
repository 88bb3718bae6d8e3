import { toRfc3339 } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import { errorBody, toPrismError } from "../../http/error-reply.ts";
import { checkShape } from "../../http/input.ts";
import type { LiveSocket } from "../live-socket.ts";
import { eventFilter } from "./event-filter.ts";
import { ClientMessage, MAX_ID_LENGTH, nativeProtocol } from "./native-message.ts";
import { type Session, type SocketRouteParts, serveSocketRoute } from "./socket-route.ts";
import { type StreamRequestParts, StreamRequests } from "./stream-requests.ts";
import { beforeUpgrade } from "./upgrade.ts";

export interface NativeParts extends SocketRouteParts, StreamRequestParts {}

const HEARTBEAT_MS = 30_000;

type Said<Op extends ClientMessage["op"]> = Extract<ClientMessage, { op: Op }>;

/** Puts `/ws` on the server. */
export function serveNativeSocket(parts: NativeParts): void {
  serveSocketRoute(parts, {
    paths: ["/ws"],
    protocol: nativeProtocol,
    authenticate: beforeUpgrade,
    prepare: (_exchange, { requestId }) => requestId,
    open: (socket, requestId) => new NativeSession(socket, requestId, parts),
  });
}

/** The conversation of one client (contract 5.2). */
class NativeSession implements Session {
  readonly #socket: LiveSocket;
  readonly #requestId: string;
  readonly #parts: NativeParts;
  readonly #streams: StreamRequests;

  constructor(socket: LiveSocket, requestId: string, parts: NativeParts) {
    this.#socket = socket;
    this.#requestId = requestId;
    this.#parts = parts;
    this.#streams = new StreamRequests(socket, parts);
    const principal = socket.caller;
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
    const { id } = message;
    switch (message.op) {
      case "subscribe":
        return this.#subscribe(message);
      case "unsubscribe":
        return this.#say({ op: "unsubscribed", id, stream: this.#streams.unsubscribe(message.stream) });
      case "ack":
        return this.#acknowledge(message);
      case "ping":
        return this.#say({ op: "pong", id, ts: toRfc3339(this.#parts.clock.now()) });
      case "auth":
        this.#streams.renew(message.token, (expiresAt) => this.#say({ op: "authenticated", id, expiresAt }));
    }
  }

  #subscribe({ id, stream, from, filter, ack }: Said<"subscribe">): void {
    const asked = { stream, from, accepts: filter && eventFilter(filter), isAcknowledging: ack === true };
    this.#streams.subscribe(asked, (name, offset) => this.#say({ op: "subscribed", id, stream: name, offset }));
  }

  #acknowledge({ id, stream, offset }: Said<"ack">): void {
    this.#streams.acknowledge(stream, offset).then(
      (name) => this.#say({ op: "acked", id, stream: name, offset }),
      (error: unknown) => this.#refuse(id, error),
    );
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

/** The id of a message that may be wrong in any other way. */
function idOf(message: object): string | undefined {
  return "id" in message && typeof message.id === "string" ? message.id.slice(0, MAX_ID_LENGTH) : undefined;
}
