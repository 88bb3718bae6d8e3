import type { Socket } from "socket.io";
import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { Principal } from "../../../core/principal.ts";
import { toPrismError } from "../../../http/error-reply.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { type Connections, MAX_PENDING_MESSAGE_BYTES } from "../../connections.ts";
import type { LiveSocket } from "../../live-socket.ts";
import type { StreamRequestParts } from "../stream-requests.ts";
import type { SocketIoSocket } from "./engine-socket.ts";
import type { EngineSession } from "./engine-types.ts";
import { MAX_PACKET_BYTES, PacketGate } from "./packet-gate.ts";
import type { SessionCarrier } from "./session-carrier.ts";
import {
  type ConversationParts,
  errorBodyOf,
  handshakeOf,
  type Line,
  SocketIoConversation,
} from "./socketio-conversation.ts";
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
  readonly carrier: SessionCarrier;
  /** Opens a live connection over the carrier. @param principal null for the first one: the client has yet to say who it is. */
  openLine(principal: Principal | null): Line;
}

const MAX_NAMESPACES = 8;
/** Socket.IO's reason for the end of a namespace alone. */
const LEFT = "client namespace disconnect";

interface Membership {
  readonly conversation: SocketIoConversation;
  readonly handshake: ReturnType<typeof handshakeOf>;
}

/**
 * One client, from its handshake on, over whatever carries it. Each namespace that it joins has its own caller, live connection and subscriptions. The
 * first live connection lasts as long as the session: it counts the messages of all namespaces, and the session ends with its token.
 */
export class SocketIoSession {
  readonly conn: EngineSession;
  readonly carrier: SessionCarrier;
  readonly #visitor: Visitor;
  readonly #parts: ConversationParts;
  readonly #openLine: SessionOf["openLine"];
  readonly #gate = new PacketGate();
  readonly #first: SocketIoConversation;
  /** By namespace, from the moment that its handshake is accepted. */
  readonly #members = new Map<string, Membership>();
  /** The poll that waits for something to say. */
  poll: Exchange | null = null;
  /** A WebSocket that is to take the session over from polling. */
  probe: SocketIoSocket | null = null;

  constructor({ conn, visitor, carrier, openLine }: SessionOf, parts: SessionParts) {
    this.conn = conn;
    this.carrier = carrier;
    this.#visitor = visitor;
    this.#openLine = openLine;
    this.#parts = { ...parts, visitor, whenTaken: (told) => carrier.whenTaken(told) };
    this.#first = new SocketIoConversation(openLine(null), this.#parts);
  }

  get live(): LiveSocket {
    return this.#first.live;
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
    if (!ws) return;
    this.carrier.switchTo(ws);
    for (const { channel } of this.#conversations()) channel.switched();
  }

  /** A packet has come in; a buffer is an attachment. @returns false when the session has been ended for it. */
  admits(packet: string | Buffer, bytes: number): boolean {
    if (!this.live.receive()) return false;
    for (const { conversation } of this.#members.values()) conversation.live.heard();
    const limitBytes = this.#parts.connections.isPending(this.live) ? MAX_PENDING_MESSAGE_BYTES : MAX_PACKET_BYTES;
    const reason = this.#gate.reasonAgainst(packet, bytes, limitBytes);
    if (reason) this.live.close(reason);
    return reason === null;
  }

  /** The client takes more. */
  drained(): void {
    for (const { live } of this.#conversations()) live.drained();
  }

  /** The client asks for a namespace. @throws UNAUTHENTICATED, TOKEN_EXPIRED, RATE_LIMITED, VALIDATION_FAILED … */
  join({ nsp: { name }, handshake: { auth } }: Socket): void {
    if (this.#members.has(name)) throw new PrismError("INVALID_STATE", "The namespace has been joined already");
    if (this.#members.size >= MAX_NAMESPACES) {
      throw new PrismError("RATE_LIMITED", `A connection may join ${MAX_NAMESPACES} namespaces`);
    }
    const handshake = handshakeOf(auth);
    const conversation = this.#conversationOf(this.#visitor.authenticate(handshake.token));
    this.#members.set(name, { conversation, handshake });
  }

  /** What the client is told in place of being let in: `connect_error`. */
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
    // Of the parser; an event of the client's by this name is no Error.
    socket.on("error", (error: unknown) => {
      if (error instanceof Error) this.live.close("malformed");
    });
    member.conversation.open(socket, member.handshake);
  }

  /** The session is gone. */
  closed(): void {
    const conversations = this.#conversations();
    this.#members.clear();
    this.carrier.closed();
    for (const conversation of conversations) conversation.closed();
  }

  /** The first live connection if no namespace uses it, else another one. @throws RATE_LIMITED, OVERLOADED */
  #conversationOf(principal: Principal): SocketIoConversation {
    for (const { conversation } of this.#members.values()) {
      if (conversation !== this.#first) continue;
      this.#parts.connections.requireRoom(principal, this.address);
      return new SocketIoConversation(this.#openLine(principal), this.#parts);
    }
    this.live.identify(principal);
    return this.#first;
  }

  /** The client has left a namespace; the connection stays for the others, and for those that it may yet join. */
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
