import * as v from "valibot";
import { assertNever } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { LEVELS } from "../../core/text/vocabulary.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import { errorBody, toPrismError } from "../../http/api/error-reply.ts";
import { integer, object } from "../../http/api/shapes.ts";
import { checkShape } from "../../http/body/input.ts";
import type { LiveSocket } from "../live-socket.ts";
import type { SocketProtocol } from "../socket-protocol.ts";
import { eventFilter, MAX_STREAM_LENGTH } from "../stream.ts";
import { type Session, type SocketRouteParts, serveSocketRoute } from "./socket-route.ts";
import { type StreamRequestParts, StreamRequests, TOKEN } from "./stream-requests.ts";
import { beforeUpgrade } from "./upgrade.ts";

const MAX_ID_LENGTH = 64;

const id = v.optional(v.pipe(v.string(), v.maxLength(MAX_ID_LENGTH)));
const stream = v.pipe(v.string(), v.maxLength(MAX_STREAM_LENGTH));
const offset = integer(0, Number.MAX_SAFE_INTEGER);

/** Messages of a client (docs/realtime.md). */
const CLIENT_MESSAGE = v.variant("op", [
  object({
    op: v.literal("subscribe"),
    id,
    stream,
    from: v.optional(v.union([offset, v.picklist(["latest", "earliest"])])),
    filter: v.optional(
      object({
        type: v.optional(v.pipe(v.string(), v.maxLength(100))),
        level: v.optional(v.pipe(v.array(v.picklist(LEVELS)), v.maxLength(LEVELS.length))),
      }),
    ),
    ack: v.optional(v.boolean()),
  }),
  object({ op: v.literal("unsubscribe"), id, stream }),
  object({ op: v.literal("ack"), id, stream, offset }),
  object({ op: v.literal("ping"), id }),
  object({ op: v.literal("auth"), id, token: TOKEN }),
]);
type NativeMessage = v.InferOutput<typeof CLIENT_MESSAGE>;

/** Messages that carry a stream. */
export const nativeProtocol: SocketProtocol = {
  transport: "websocket",
  entryText: (stream, { offset, type, data, at, correlationId }) =>
    `{"op":"event","stream":${JSON.stringify(stream)},"offset":${offset},"type":${JSON.stringify(type)},` +
    `"data":${data},"ts":"${toRfc3339(at)}","correlationId":${JSON.stringify(correlationId)}}`,
  gapText: (stream, gap) => JSON.stringify({ op: "gap", stream, ...gap }),
  expiringText: (expiresAt) => JSON.stringify({ op: "auth_expiring", expiresAt: toRfc3339(expiresAt) }),
};

interface NativeParts extends SocketRouteParts, StreamRequestParts {}

const HEARTBEAT_MS = 30_000;

type MessageOf<Op extends NativeMessage["op"]> = Extract<NativeMessage, { op: Op }>;

/** Puts `/ws` on the server. */
export function serveNativeSocket(parts: NativeParts): void {
  const streams = new StreamRequests(parts);
  serveSocketRoute(parts, {
    paths: ["/ws"],
    protocol: nativeProtocol,
    authenticate: beforeUpgrade,
    prepare: (_exchange, { requestId }) => requestId,
    open: (socket, requestId) => new NativeSession(socket, requestId, parts, streams),
  });
}

/** The session of one client (docs/realtime.md). */
class NativeSession implements Session {
  readonly #socket: LiveSocket;
  readonly #requestId: string;
  readonly #parts: NativeParts;
  readonly #streams: StreamRequests;

  constructor(socket: LiveSocket, requestId: string, parts: NativeParts, streams: StreamRequests) {
    this.#socket = socket;
    this.#requestId = requestId;
    this.#parts = parts;
    this.#streams = streams;
    const principal = socket.caller;
    this.#send({
      op: "welcome",
      connectionId: uuidv7(),
      userId: principal.kind === "apiKey" ? null : principal.userId,
      serverTime: toRfc3339(parts.clock.now()),
      heartbeatMs: HEARTBEAT_MS,
    });
  }

  message(message: object): void {
    try {
      this.#answer(checkShape(CLIENT_MESSAGE, message, "body"));
    } catch (error) {
      this.#refuse(idOf(message), error);
    }
  }

  #answer(message: NativeMessage): void {
    const { id } = message;
    switch (message.op) {
      case "subscribe":
        return this.#subscribe(message);
      case "unsubscribe":
        return this.#send({ op: "unsubscribed", id, stream: this.#streams.unsubscribe(this.#socket, message.stream) });
      case "ack":
        return this.#acknowledge(message);
      case "ping":
        return this.#send({ op: "pong", id, ts: toRfc3339(this.#parts.clock.now()) });
      case "auth":
        return this.#streams.renew(this.#socket, message.token, {
          renewed: (expiresAt) => this.#send({ op: "authenticated", id, expiresAt }),
          refused: (error) => this.#refuse(id, error),
        });
      default:
        return assertNever(message);
    }
  }

  #subscribe({ id, stream, from, filter, ack }: MessageOf<"subscribe">): void {
    const asked = { stream, from, accepts: filter && eventFilter(filter), isAcknowledging: ack === true };
    const announce = (name: string, at: number): void => this.#send({ op: "subscribed", id, stream: name, offset: at });
    this.#streams.subscribe(this.#socket, asked, announce);
  }

  #acknowledge({ id, stream, offset }: MessageOf<"ack">): void {
    this.#streams.acknowledge(this.#socket, stream, offset).then(
      (name) => this.#send({ op: "acked", id, stream: name, offset }),
      (error: unknown) => this.#refuse(id, error),
    );
  }

  /** The connection stays open. The request id is the upgrade's, which the log has. */
  #refuse(id: string | undefined, thrown: unknown): void {
    const error = toPrismError(thrown);
    if (error.code === "INTERNAL") {
      this.#parts.log.error({ requestId: this.#requestId, err: error.cause }, "handling a client's message failed");
    }
    this.#send({ op: "error", id, ...errorBody(error, this.#requestId) });
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    this.#socket.send(JSON.stringify(message));
  }
}

/** The id of a message that is invalid otherwise. */
function idOf(message: object): string | undefined {
  return "id" in message && typeof message.id === "string" ? message.id.slice(0, MAX_ID_LENGTH) : undefined;
}
