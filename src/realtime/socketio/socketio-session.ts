import type { Socket } from "socket.io";
import { PrismError } from "../../base/errors.ts";
import { uuidv7 } from "../../base/ids.ts";
import type { Logger } from "../../base/log.ts";
import type { Principal } from "../../base/principal.ts";
import { errorBody, toPrismError } from "../../http/error-reply.ts";
import type { Exchange } from "../../http/exchange.ts";
import { checkShape } from "../../http/input.ts";
import type { Shape } from "../../http/route.ts";
import { type Connections, MAX_PENDING_MESSAGE_BYTES } from "../connections.ts";
import type { LiveSocket } from "../live-socket.ts";
import { type StreamRequestParts, StreamRequests } from "../stream-requests.ts";
import type { SocketIoSocket } from "./engine-socket.ts";
import type { EngineSession } from "./engine-types.ts";
import { reasonAgainst } from "./packet-gate.ts";
import type { SessionChannel } from "./session-channel.ts";
import { CLIENT_EVENTS, type ClientEvent, eventText, Handshake, type Said } from "./socketio-message.ts";
import type { Visitor } from "./visitor.ts";

export interface SessionParts extends StreamRequestParts {
  readonly connections: Connections;
  readonly log: Logger;
  /** The user has read a notification. @throws NOTIFICATION_NOT_FOUND, FORBIDDEN for a key */
  markRead(
    principal: Principal,
    id: string,
    request: { readonly address: string; readonly requestId: string },
  ): Promise<void>;
}

export interface SessionOf {
  readonly conn: EngineSession;
  readonly visitor: Visitor;
  readonly channel: SessionChannel;
  readonly live: LiveSocket;
}

type Answer = Readonly<Record<string, unknown>>;
type Reply = (answer: Answer) => void;

/** One client, from its handshake on, over whatever carries it (contract 5.6). */
export class SocketIoSession {
  readonly conn: EngineSession;
  readonly channel: SessionChannel;
  readonly live: LiveSocket;
  readonly #visitor: Visitor;
  readonly #parts: SessionParts;
  readonly #streams: StreamRequests;
  /** The poll that waits for something to say. */
  poll: Exchange | null = null;
  /** A WebSocket that is to take the session over from polling. */
  probe: SocketIoSocket | null = null;
  #handshake: ReturnType<typeof handshakeOf> | null = null;

  constructor({ conn, visitor, channel, live }: SessionOf, parts: SessionParts) {
    this.conn = conn;
    this.channel = channel;
    this.live = live;
    this.#visitor = visitor;
    this.#parts = parts;
    this.#streams = new StreamRequests(live, {
      ...parts,
      // Nobody has got what waits for a poll.
      markDelivered: (userId, offset) => channel.whenTaken(() => parts.markDelivered(userId, offset)),
    });
  }

  get address(): string {
    return this.#visitor.address;
  }

  /** The client goes on over the WebSocket that it tried. */
  switchToProbe(): void {
    const ws = this.probe?.ws;
    this.probe = null;
    // With all its headers it would be kept for as long as the session.
    this.poll = null;
    if (ws) this.channel.switchTo(ws);
  }

  /** A packet has come in. @returns false when the session has been ended for it. */
  admits(packet: string, bytes: number): boolean {
    if (!this.live.receive()) return false;
    const isTooBig = bytes > MAX_PENDING_MESSAGE_BYTES && this.#parts.connections.isPending(this.live);
    const reason = isTooBig ? "tooBig" : reasonAgainst(packet, bytes);
    if (reason) this.live.close(reason);
    return reason === null;
  }

  /** The client asks for the main namespace. @throws UNAUTHENTICATED, TOKEN_EXPIRED, RATE_LIMITED, VALIDATION_FAILED … */
  join(socket: Socket): void {
    if (this.#handshake) throw new PrismError("INVALID_STATE", "The connection has been let in already");
    const handshake = handshakeOf(socket.handshake.auth);
    this.live.identify(this.#visitor.authenticate(handshake.token));
    this.#handshake = handshake;
  }

  /** What the client is told in place of being let in: `connect_error`. */
  refusal(thrown: unknown): Error {
    const { error } = this.#errorBody(thrown);
    const { retryAfterMs } = toPrismError(thrown);
    return Object.assign(new Error(error.message), {
      data: { ...error, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    });
  }

  /** The client has been let in. */
  open(socket: Socket): void {
    this.channel.isJoined = true;
    socket.onAny((event: unknown, ...args: unknown[]) => this.#said(String(event), args));
    socket.on("disconnect", () => this.conn.close(true));
    // Of the parser; an event of the client's by this name is no Error.
    socket.on("error", (error: unknown) => {
      if (error instanceof Error) this.live.close("malformed");
    });
    const principal = this.live.caller;
    const userId = principal.kind === "apiKey" ? null : principal.userId;
    const ready = { connectionId: uuidv7(), userId };
    const own = userId === null ? null : ({ kind: "user", userId } as const);
    if (!own || this.#parts.access.check(principal, own) !== "allowed") this.#tell("ready", ready);
    else this.#followOwn(ready);
  }

  /** When the client has everything that it missed it is told so, and how much that was. */
  #followOwn(ready: Answer): void {
    this.#streams.subscribe(
      {
        stream: "user:me",
        from: this.#handshake?.offset ?? "latest",
        isAcknowledging: this.#handshake?.ack === true,
        onReplayed: (replayed, offset) => this.#tell("ready", { ...ready, offset, replayed }),
      },
      () => undefined,
    );
  }

  #said(event: string, args: unknown[]): void {
    const last = args.at(-1);
    const reply: Reply | null = typeof last === "function" ? (answer) => last(answer) : null;
    const answer: Reply = (given) => reply?.({ ok: true, ...given });
    try {
      if (!isClientEvent(event)) throw new PrismError("VALIDATION_FAILED", `There is no event of this name: ${KNOWN}`);
      const said = checkShape(CLIENT_EVENTS[event] as Shape<Said<ClientEvent>>, args[0], "body");
      this.#perform(event, said, answer)?.then(answer, (error: unknown) => this.#refuse(event, error, reply));
    } catch (error) {
      this.#refuse(event, error, reply);
    }
  }

  /** @returns what is answered once it is done; undefined when it has been. */
  #perform(event: ClientEvent, said: Said<ClientEvent>, answer: Reply): Promise<Answer> | undefined {
    switch (event) {
      case "subscribe":
        this.#streams.subscribe(said as Said<"subscribe">, (stream, offset) => answer({ stream, offset }));
        return undefined;
      case "unsubscribe":
        answer({ stream: this.#streams.unsubscribe((said as Said<"unsubscribe">).stream) });
        return undefined;
      case "ack": {
        const { offset } = said as Said<"ack">;
        return this.#streams.acknowledge("user:me", offset).then(() => ({ offset }));
      }
      case "notification:read": {
        const { id } = said as Said<"notification:read">;
        return this.#parts.markRead(this.live.caller, id, this.#visitor).then(() => ({}));
      }
      case "auth":
        this.#streams.renew((said as Said<"auth">).token, (expiresAt) => answer({ expiresAt }));
        return undefined;
    }
  }

  /** The connection stays. Whoever does not wait for an answer is told by an event. */
  #refuse(event: string, thrown: unknown, reply: Reply | null): void {
    const { error } = this.#errorBody(thrown);
    if (reply) reply({ ok: false, error });
    else this.#tell("exception", { event: event.slice(0, MAX_EVENT_LENGTH), ...error });
  }

  /** The request id is the handshake's: it is what the log knows this connection by. */
  #errorBody(thrown: unknown): ReturnType<typeof errorBody> {
    const error = toPrismError(thrown);
    const { requestId } = this.#visitor;
    if (error.code === "INTERNAL") {
      this.#parts.log.error({ requestId, err: error.cause }, "a client's message failed");
    }
    return errorBody(error, requestId);
  }

  #tell(event: string, payload: Answer): void {
    this.live.send(eventText(event, JSON.stringify(payload)));
  }
}

const KNOWN = Object.keys(CLIENT_EVENTS).join(", ");
const MAX_EVENT_LENGTH = 64;

function isClientEvent(event: string): event is ClientEvent {
  return Object.hasOwn(CLIENT_EVENTS, event);
}

function handshakeOf(auth: unknown) {
  return checkShape(Handshake, auth, "body");
}
