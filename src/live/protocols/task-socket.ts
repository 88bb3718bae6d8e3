import * as v from "valibot";
import type { Principal } from "../../core/caller.ts";
import { assertNever } from "../../core/errors.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import { toPrismError } from "../../http/api/error-reply.ts";
import { integer, openObject } from "../../http/api/shapes.ts";
import { checkShape } from "../../http/body/input.ts";
import type { Authenticator } from "../../http/server/credentials.ts";
import type { LiveSocket } from "../live-socket.ts";
import type { SocketProtocol } from "../socket-protocol.ts";
import type { StreamRef } from "../stream.ts";
import { type Session, type SocketRouteParts, serveSocketRoute } from "./socket-route.ts";
import { renewToken, TOKEN } from "./stream-requests.ts";
import { beforeUpgrade } from "./upgrade.ts";

export interface TaskSocketParts extends SocketRouteParts {
  readonly authenticator: Authenticator;
  /**
   * The stream of the caller's own tasks. @throws FORBIDDEN for an API key, UNAUTHORIZED_ROLE,
   * CHANNEL_FORBIDDEN
   */
  tasksOf(principal: Principal): StreamRef;
}

/** Messages of a client. Members that applications add, such as the time of a PING, are ignored. */
const ClientMessage = v.variant("type", [
  openObject({ type: v.literal("PING") }),
  openObject({ type: v.literal("SUBSCRIBE_TASKS"), since: v.optional(integer(0, Number.MAX_SAFE_INTEGER)) }),
  openObject({ type: v.literal("UNSUBSCRIBE_TASKS") }),
  openObject({ type: v.literal("AUTH"), token: TOKEN }),
]);

/** An entry's data is the task, and its first member is the id. */
const TASK_ID = /^\{"id":("[^"\\]*")/;

/** Messages that carry tasks. */
export const taskProtocol: SocketProtocol = {
  transport: "tasks",
  entryText: (_stream, { type, data, offset, at }) =>
    `{"type":${JSON.stringify(type)},"task":${data},"taskId":${TASK_ID.exec(data)?.[1] ?? null},` +
    `"offset":${offset},"timestamp":${at}}`,
  gapText: (_stream, gap) => JSON.stringify({ type: "GAP", ...gap }),
  expiringText: (expiresAt) => JSON.stringify({ type: "AUTH_EXPIRING", expiresAt: toRfc3339(expiresAt) }),
};

/** Serves `/ws/updates` (docs/tasks.md): the caller's own tasks, once subscribed. */
export function serveTaskSocket(parts: TaskSocketParts): void {
  serveSocketRoute(parts, {
    paths: ["/ws/updates"],
    protocol: taskProtocol,
    authenticate: beforeUpgrade,
    prepare: (_exchange, { principal, requestId }) => ({ stream: parts.tasksOf(principal), requestId }),
    open: (socket, start) => new TaskSession(socket, start, parts),
  });
}

interface Start {
  readonly stream: StreamRef;
  readonly requestId: string;
}

/** The session of one client. */
class TaskSession implements Session {
  readonly #socket: LiveSocket;
  readonly #start: Start;
  readonly #parts: TaskSocketParts;

  constructor(socket: LiveSocket, start: Start, parts: TaskSocketParts) {
    this.#socket = socket;
    this.#start = start;
    this.#parts = parts;
    this.#send({ type: "CONNECTED", timestamp: parts.clock.now() });
  }

  message(message: object): void {
    try {
      this.#answer(checkShape(ClientMessage, message, "body"));
    } catch (error) {
      this.#refuse(error);
    }
  }

  #answer(message: v.InferOutput<typeof ClientMessage>): void {
    switch (message.type) {
      case "PING":
        return this.#send({ type: "PONG", timestamp: this.#parts.clock.now() });
      case "SUBSCRIBE_TASKS":
        return this.#subscribe(message.since);
      case "UNSUBSCRIBE_TASKS":
        this.#socket.unsubscribe(this.#start.stream);
        return this.#send({ type: "TASKS_UNSUBSCRIBED" });
      case "AUTH":
        return renewToken(this.#socket, this.#parts, message.token, {
          renewed: (expiresAt) => this.#send({ type: "AUTHENTICATED", expiresAt }),
          refused: (error) => this.#refuse(error),
        });
      default:
        return assertNever(message);
    }
  }

  #subscribe(since: number | undefined): void {
    const { stream } = this.#start;
    const subscribed = { type: "TASKS_SUBSCRIBED", offset: this.#parts.hub.head(stream) };
    // Restarting at the head would skip entries that the first subscription has yet to send.
    if (since === undefined && this.#socket.has(stream)) this.#send(subscribed);
    else this.#socket.subscribe(stream, { from: since ?? "latest" }, () => this.#send(subscribed));
  }

  /** The connection stays open. */
  #refuse(thrown: unknown): void {
    const { code, message, details, cause } = toPrismError(thrown);
    if (code === "INTERNAL")
      this.#parts.log.error({ requestId: this.#start.requestId, err: cause }, "handling a client's message failed");
    this.#send({ type: "ERROR", code, message, ...(details ? { details } : {}) });
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    this.#socket.send(JSON.stringify(message));
  }
}
