import type { Socket } from "socket.io";
import type { Principal } from "../../../core/caller.ts";
import { assertNever, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { Logger } from "../../../core/log.ts";
import { errorBody, toPrismError } from "../../../http/api/error-reply.ts";
import type { Shape } from "../../../http/api/route.ts";
import { checkShape } from "../../../http/body/input.ts";
import { type Connections, MAX_PENDING_MESSAGE_BYTES } from "../../connections.ts";
import type { LiveSocket } from "../../live-socket.ts";
import { type StreamRequestParts, StreamRequests } from "../stream-requests.ts";
import { type EngineSession, MAX_PACKET_BYTES, PacketGate } from "./engine.ts";
import type { HandshakeRequest } from "./handshake-request.ts";
import type { SessionChannel } from "./session-channel.ts";
import { CLIENT_EVENTS, type ClientEvent, eventText, Handshake, type MessageOf } from "./socketio-message.ts";

export interface SessionParts extends StreamRequestParts {
  readonly connections: Connections;
  readonly log: Logger;
  /** Marks a notification as read. @throws NOTIFICATION_NOT_FOUND, FORBIDDEN for a key */
  markRead(
    principal: Principal,
    id: string,
    request: { readonly address: string; readonly requestId: string },
  ): Promise<void>;
}

/** The live connection of one namespace, and its output. */
export interface NamespaceLink {
  readonly channel: SessionChannel;
  readonly live: LiveSocket;
}

interface ConversationParts extends SessionParts {
  readonly request: HandshakeRequest;
  /** Calls back when everything sent so far is on its way to the client. */
  whenSent(sent: () => void): void;
}

type Answer = Readonly<Record<string, unknown>>;
type Reply = (answer: Answer) => void;

/** A client in one namespace: its caller, requests and subscriptions. */
class SocketIoConversation {
  readonly live: LiveSocket;
  readonly channel: SessionChannel;
  readonly #parts: ConversationParts;
  readonly #streams: StreamRequests;
  #handshake: ReturnType<typeof handshakeOf> | null = null;

  constructor({ channel, live }: NamespaceLink, parts: ConversationParts) {
    this.channel = channel;
    this.live = live;
    this.#parts = parts;
    this.#streams = new StreamRequests({
      ...parts,
      // Packets that wait for a poll are not delivered yet.
      markDelivered: (userId, offset) => parts.whenSent(() => parts.markDelivered(userId, offset)),
    });
  }

  /** The client has been let in. */
  open(socket: Socket, handshake: ReturnType<typeof handshakeOf>): void {
    this.#handshake = handshake;
    this.channel.join(socket.nsp.name);
    socket.onAny((event: unknown, ...args: unknown[]) => this.#received(String(event), args));
    const principal = this.live.caller;
    const userId = principal.kind === "apiKey" ? null : principal.userId;
    const ready = { connectionId: uuidv7(), userId };
    const own = userId === null ? null : ({ kind: "user", userId } as const);
    if (!own || this.#parts.access.check(principal, own) !== "allowed") this.#send("ready", ready);
    else this.#followOwn(ready);
  }

  leave(): void {
    this.live.unsubscribeAll();
    this.channel.leave();
  }

  closed(): void {
    this.channel.closed();
    this.live.closed();
  }

  /** Sends `ready`, with the number of replayed entries, after all missed entries. */
  #followOwn(ready: Answer): void {
    this.#streams.subscribe(
      this.live,
      {
        stream: "user:me",
        from: this.#handshake?.offset ?? "latest",
        isAcknowledging: this.#handshake?.ack === true,
        onReplayed: (replayed, offset) => this.#send("ready", { ...ready, offset, replayed }),
      },
      () => undefined,
    );
  }

  #received(event: string, args: unknown[]): void {
    const last = args.at(-1);
    const reply: Reply | null = typeof last === "function" ? (answer) => last(answer) : null;
    const answer: Reply = (members) => reply?.({ ok: true, ...members });
    try {
      if (!isClientEvent(event)) throw new PrismError("VALIDATION_FAILED", `Unknown event; known events: ${KNOWN}`);
      if (Buffer.isBuffer(args[0])) throw new PrismError("VALIDATION_FAILED", "The argument is binary; send an object");
      const message = checkShape(CLIENT_EVENTS[event] as Shape<MessageOf<ClientEvent>>, args[0], "body");
      this.#perform(event, message, answer, reply)?.then(answer, (error: unknown) => this.#refuse(event, error, reply));
    } catch (error) {
      this.#refuse(event, error, reply);
    }
  }

  /** @returns the later response; undefined when it has been sent */
  #perform(
    event: ClientEvent,
    message: MessageOf<ClientEvent>,
    answer: Reply,
    reply: Reply | null,
  ): Promise<Answer> | undefined {
    switch (event) {
      case "subscribe":
        this.#streams.subscribe(this.live, message as MessageOf<"subscribe">, (stream, offset) =>
          answer({ stream, offset }),
        );
        return undefined;
      case "unsubscribe":
        answer({ stream: this.#streams.unsubscribe(this.live, (message as MessageOf<"unsubscribe">).stream) });
        return undefined;
      case "ack": {
        const { offset } = message as MessageOf<"ack">;
        return this.#streams.acknowledge(this.live, "user:me", offset).then(() => ({ offset }));
      }
      case "notification:read": {
        const { id } = message as MessageOf<"notification:read">;
        return this.#parts.markRead(this.live.caller, id, this.#parts.request).then(() => ({}));
      }
      case "auth":
        this.#streams.renew(this.live, (message as MessageOf<"auth">).token, {
          renewed: (expiresAt) => answer({ expiresAt }),
          refused: (error) => this.#refuse(event, error, reply),
        });
        return undefined;
      default:
        return assertNever(event);
    }
  }

  /** The connection stays open. A request without a callback gets an event in response. */
  #refuse(event: string, thrown: unknown, reply: Reply | null): void {
    const { error } = errorBodyOf(thrown, this.#parts);
    if (reply) reply({ ok: false, error });
    else this.#send("exception", { event: event.slice(0, MAX_EVENT_LENGTH), ...error });
  }

  #send(event: string, payload: Answer): void {
    this.live.send(eventText(event, JSON.stringify(payload)));
  }
}

const KNOWN = Object.keys(CLIENT_EVENTS).join(", ");
const MAX_EVENT_LENGTH = 64;

function isClientEvent(event: string): event is ClientEvent {
  return Object.hasOwn(CLIENT_EVENTS, event);
}

/** `auth` of the packet that joins a namespace. @throws VALIDATION_FAILED */
function handshakeOf(auth: unknown) {
  return checkShape(Handshake, auth, "body");
}

/** The request id is the handshake's, which the log has. */
function errorBodyOf(
  thrown: unknown,
  { request: { requestId }, log }: Pick<ConversationParts, "request" | "log">,
): ReturnType<typeof errorBody> {
  const error = toPrismError(thrown);
  if (error.code === "INTERNAL") log.error({ requestId, err: error.cause }, "handling a client's message failed");
  return errorBody(error, requestId);
}

interface SessionOf {
  readonly engine: EngineSession;
  readonly request: HandshakeRequest;
  /**
   * Opens a live connection over the engine's. @param principal null for the first one, which
   * authenticates later
   */
  openLink(principal: Principal | null): NamespaceLink;
}

const MAX_NAMESPACES = 8;
/** Socket.IO's reason when a client leaves one namespace. */
const LEFT = "client namespace disconnect";

interface Membership {
  readonly conversation: SocketIoConversation;
  readonly handshake: ReturnType<typeof handshakeOf>;
}

/**
 * One client from its handshake on, over any transport. Each namespace has its own caller, live
 * connection and subscriptions. The first live connection lasts as long as the session: it counts
 * the messages of all namespaces, and the session ends with its token.
 */
export class SocketIoSession {
  readonly engine: EngineSession;
  readonly #parts: ConversationParts;
  readonly #openLink: SessionOf["openLink"];
  readonly #gate = new PacketGate();
  readonly #first: SocketIoConversation;
  /** By namespace, once its handshake is accepted. */
  readonly #members = new Map<string, Membership>();

  constructor({ engine, request, openLink }: SessionOf, parts: SessionParts) {
    this.engine = engine;
    this.#openLink = openLink;
    this.#parts = { ...parts, request, whenSent: (sent) => engine.whenSent(sent) };
    this.#first = new SocketIoConversation(openLink(null), this.#parts);
    const all = (notify: (conversation: SocketIoConversation) => void) => () => this.#conversations().forEach(notify);
    engine.on(
      "drain",
      all(({ live }) => live.drained()),
    );
    engine.on(
      "upgrade",
      all(({ channel }) => channel.switched()),
    );
    engine.on("close", () => this.#closed());
  }

  get live(): LiveSocket {
    return this.#first.live;
  }

  get address(): string {
    return this.#parts.request.address;
  }

  /**
   * Checks a packet; a buffer is an attachment. @returns false when the session was closed for it
   */
  admits(packet: string | Buffer, bytes: number): boolean {
    if (!this.live.receive()) return false;
    for (const { conversation } of this.#members.values()) conversation.live.noteActivity();
    const limitBytes = this.#parts.connections.isPending(this.live) ? MAX_PENDING_MESSAGE_BYTES : MAX_PACKET_BYTES;
    const reason = this.#gate.reasonAgainst(packet, bytes, limitBytes);
    if (reason) this.live.close(reason);
    return reason === null;
  }

  /**
   * Starts to verify a token of another issuer; null if {@link join} needs no check.
   * @throws VALIDATION_FAILED, WORK_LIMITED
   */
  check({ handshake: { auth } }: Socket): Promise<void> | null {
    return this.#parts.request.check(handshakeOf(auth).token);
  }

  /**
   * The client joins a namespace. @throws UNAUTHENTICATED, TOKEN_EXPIRED, RATE_LIMITED,
   * VALIDATION_FAILED …
   */
  join({ nsp: { name }, handshake: { auth } }: Socket): void {
    if (this.#members.has(name)) throw new PrismError("INVALID_STATE", "The namespace is already joined");
    if (this.#members.size >= MAX_NAMESPACES) {
      throw new PrismError("RATE_LIMITED", `A connection may join at most ${MAX_NAMESPACES} namespaces`);
    }
    const handshake = handshakeOf(auth);
    const conversation = this.#conversationOf(this.#parts.request.authenticate(handshake.token));
    this.#members.set(name, { conversation, handshake });
  }

  /** The `connect_error` of a refused client. */
  refusal(thrown: unknown): Error {
    const { error } = errorBodyOf(thrown, this.#parts);
    const { retryAfterMs } = toPrismError(thrown);
    return Object.assign(new Error(error.message), {
      data: { ...error, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    });
  }

  /** The client has been let in. */
  open(socket: Socket): void {
    const { name } = socket.nsp;
    const member = this.#members.get(name);
    if (!member) return;
    socket.on("disconnect", (reason) => {
      if (reason === LEFT) this.#leave(name, member);
    });
    // An error of the parser; an event with this name from the client is no Error.
    socket.on("error", (error: unknown) => {
      if (error instanceof Error) this.live.close("malformed");
    });
    member.conversation.open(socket, member.handshake);
  }

  #closed(): void {
    const conversations = this.#conversations();
    this.#members.clear();
    for (const conversation of conversations) conversation.closed();
  }

  /** The first live connection if it is free, or another one. @throws RATE_LIMITED, OVERLOADED */
  #conversationOf(principal: Principal): SocketIoConversation {
    for (const { conversation } of this.#members.values()) {
      if (conversation !== this.#first) continue;
      this.#parts.connections.requireRoom(principal, this.address);
      return new SocketIoConversation(this.#openLink(principal), this.#parts);
    }
    this.live.identify(principal);
    return this.#first;
  }

  /** The client has left a namespace; the connection stays open. */
  #leave(name: string, { conversation }: Membership): void {
    if (!this.#members.delete(name)) return;
    conversation.leave();
    if (conversation !== this.#first) conversation.closed();
  }

  #conversations(): Set<SocketIoConversation> {
    const all = new Set([this.#first]);
    for (const { conversation } of this.#members.values()) all.add(conversation);
    return all;
  }
}
