import { randomInt } from "node:crypto";
import { PrismError } from "../../base/errors.ts";
import type { Principal, UserPrincipal } from "../../base/principal.ts";
import { toPrismError } from "../../http/error-reply.ts";
import { parseQuery } from "../../http/input.ts";
import type { LiveSocket } from "../live-socket.ts";
import { type Session, type SocketRouteParts, serveSocketRoute } from "../socket-route.ts";
import type { StreamEntry, StreamRef } from "../stream.ts";
import { insideProtocol } from "../upgrade.ts";
import {
  isEncryptedChannel,
  isOwnChannel,
  isPresenceChannel,
  isPublicChannel,
  PUSHER_CHANNEL,
  streamsOf,
} from "./pusher-channel.ts";
import {
  ChannelData,
  clientData,
  closing,
  errorText,
  MAX_DATA_BYTES,
  PUSHER_CODE,
  pusherProtocol,
  readSaid,
  Said,
  said,
  ToSubscribe,
  ToUnsubscribe,
} from "./pusher-message.ts";
import type { Member, PusherRegistry, PusherSocket } from "./pusher-registry.ts";

export interface PusherParts extends SocketRouteParts {
  readonly registry: PusherRegistry;
  /** Whether it is the app's key, in a time that does not depend on how much of it is right. */
  isKey(key: string): boolean;
  /** Whether somebody who holds the app's secret let this socket into this channel. */
  isSigned(signature: string, socketId: string, channel: string, channelData?: string): boolean;
  /** The caller for as long as the login lives: a connection outlives the access token that it was bound with. */
  forLogin(principal: UserPrincipal): UserPrincipal;
  /** A recipient's entry has reached a client. */
  markDelivered(userId: string, offset: number): void;
}

const MIN_PROTOCOL = 5;
const MAX_PROTOCOL = 7;
const ACTIVITY_TIMEOUT_S = 120;
const MAX_CHANNELS = 64;
const MAX_MEMBERS = 100;
/** Pusher's own limits are 1 KiB for `user_info` and 128 characters for `user_id`. */
const MAX_CHANNEL_DATA_LENGTH = 2048;
const CLIENT_EVENTS_PER_SECOND = 10;
/** Each half of a socket id: with two of them nobody guesses one. */
const ID_LIMIT = 2 ** 48 - 1;
const CLIENT_EVENT = "client-";

/** What is wrong with a connection as a whole: a code of Pusher and what to say, or nothing. */
type Refusal = readonly [code: number, message: string] | null;

/** Puts the WebSocket side of the embedded Pusher server on the server: `/app/:key`, protocols 5 to 7 (contract 5.5). */
export function servePusherSocket(parts: PusherParts): void {
  serveSocketRoute(parts, {
    paths: ["/app/:key"],
    protocol: pusherProtocol,
    authenticate: insideProtocol,
    prepare: (exchange, { requestId }) => ({
      requestId,
      refusal: refusalOf(parts, exchange.params["key"] ?? "", parseQuery(exchange.queryText)["protocol"]),
    }),
    open(socket, { requestId, refusal }): Session {
      if (!refusal) return new PusherSession(socket, requestId, parts);
      // As Pusher has it: clients understand a code, and not the status of a refused upgrade.
      socket.closeWith(closing(...refusal));
      return { message() {} };
    },
  });
}

function refusalOf(parts: PusherParts, key: string, protocol: string | undefined): Refusal {
  if (!protocol) return [PUSHER_CODE.noProtocol, "No protocol version was given"];
  const isServed = /^\d$/.test(protocol) && Number(protocol) >= MIN_PROTOCOL && Number(protocol) <= MAX_PROTOCOL;
  if (!isServed)
    return [PUSHER_CODE.unsupportedProtocol, `The protocol versions are ${MIN_PROTOCOL} to ${MAX_PROTOCOL}`];
  return parts.isKey(key) ? null : [PUSHER_CODE.unknownKey, "There is no app with this key"];
}

/** The conversation of one client. */
class PusherSession implements Session, PusherSocket {
  readonly socketId: string;
  readonly #socket: LiveSocket;
  readonly #requestId: string;
  readonly #parts: PusherParts;
  #clientEventTokens = CLIENT_EVENTS_PER_SECOND;
  #tokensAt: number;

  constructor(socket: LiveSocket, requestId: string, parts: PusherParts) {
    this.#socket = socket;
    this.#requestId = requestId;
    this.#parts = parts;
    this.#tokensAt = parts.clock.now();
    this.socketId = newSocketId(parts.registry);
    socket.id = this.socketId;
    parts.registry.opened(this);
    const established = { socket_id: this.socketId, activity_timeout: ACTIVITY_TIMEOUT_S };
    this.send(said("pusher:connection_established", established));
  }

  get principal(): UserPrincipal | null {
    return userOrNull(this.#socket.principal);
  }

  bind(principal: UserPrincipal): void {
    const { access, registry } = this.#parts;
    const bound = this.principal;
    if (bound && bound.key !== principal.key) throw forbidden("The connection is another user's");
    // It stays the login's that it was first: else a second one would keep it open when the first logs out.
    if (bound) return;
    for (const channel of registry.channelsIn(this)) {
      for (const stream of streamsOf(channel)) {
        if (access.check(principal, stream) !== "allowed")
          throw forbidden("The connection is in a channel that you may not follow");
      }
    }
    this.#socket.identify(this.#parts.forLogin(principal));
    registry.bound(this, principal.userId);
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  terminate(): void {
    this.#socket.closeWith(closing(PUSHER_CODE.unauthorised, "The app has ended the connection"));
  }

  message(message: object): void {
    try {
      this.#answer(readSaid(Said, message));
    } catch (error) {
      this.send(errorText(PUSHER_CODE.other, this.#messageOf(error)));
    }
  }

  closed(): void {
    const { registry } = this.#parts;
    for (const channel of registry.channelsIn(this)) this.#leave(channel);
    registry.closed(this);
  }

  #answer({ event, channel, data }: { event: string; channel?: string | null | undefined; data?: unknown }): void {
    if (event.startsWith(CLIENT_EVENT)) return this.#clientEvent(event, channel ?? "", data);
    switch (event) {
      case "pusher:ping":
        return this.send(said("pusher:pong", {}));
      case "pusher:pong":
        return;
      case "pusher:subscribe":
        return this.#subscribe(data);
      case "pusher:unsubscribe":
        return this.#unsubscribe(readSaid(ToUnsubscribe, data).channel);
      default:
        throw new PrismError("VALIDATION_FAILED", "This server does not know the event");
    }
  }

  #subscribe(data: unknown): void {
    const { channel, auth, channel_data } = readSaid(ToSubscribe, data);
    try {
      this.#join(channel, this.#admit(channel, auth ?? "", channel_data ?? undefined));
    } catch (error) {
      const refusal = { type: "AuthError", error: this.#messageOf(error), status: 401 };
      this.send(said("pusher:subscription_error", refusal, channel));
    }
  }

  /** @returns whom a presence channel is to show. @throws VALIDATION_FAILED, CHANNEL_FORBIDDEN, RATE_LIMITED */
  #admit(channel: string, auth: string, channelData: string | undefined): Member | null {
    const { registry } = this.#parts;
    if (!PUSHER_CHANNEL.test(channel)) throw new PrismError("VALIDATION_FAILED", "The channel's name is not valid");
    if (!registry.isIn(channel, this) && registry.channelsIn(this).length >= MAX_CHANNELS)
      throw new PrismError("RATE_LIMITED", `A connection may be in ${MAX_CHANNELS} channels`);
    if (isPublicChannel(channel)) return null;
    if (isEncryptedChannel(channel)) throw forbidden(`Encrypted channels are not served (${PUSHER_CODE.unauthorised})`);
    const isPresence = isPresenceChannel(channel);
    const signed = isPresence ? (channelData ?? "") : undefined;
    if (!this.#parts.isSigned(auth, this.socketId, channel, signed))
      throw forbidden("The signature is not one for this connection and channel");
    this.#requireRight(channel);
    if (signed === undefined) return null;
    const member = readMember(signed);
    if (!registry.hasRoomFor(channel, member, MAX_MEMBERS))
      throw new PrismError("RATE_LIMITED", `A presence channel has up to ${MAX_MEMBERS} members`);
    return member;
  }

  /**
   * A user of ours needs the right, too, and as it is now. A connection that is nobody's was let in by whoever holds the secret: another backend
   * with users of its own, who knows whom it signs for.
   */
  #requireRight(channel: string): void {
    const { principal } = this;
    if (!principal) {
      if (isOwnChannel(channel)) throw forbidden("The signature for this channel must come from Prism's auth route");
      return;
    }
    for (const stream of streamsOf(channel)) {
      if (this.#parts.access.check(principal, stream) !== "allowed") throw forbidden("You may not follow this channel");
    }
  }

  #join(channel: string, member: Member | null): void {
    const { registry, connections, hub } = this.#parts;
    const streams = streamsOf(channel);
    const [first = { kind: "pusher", channel } as const] = streams;
    const offset = hub.head(first);
    if (registry.isIn(channel, this)) {
      this.#say("pusher_internal:subscription_succeeded", this.#succeeded(channel, first, offset), channel);
      return;
    }
    connections.settle(this.#socket);
    const isNew = registry.join(channel, this, member);
    if (member && isNew) this.#tellOthers(channel, "pusher_internal:member_added", member);
    this.#say("pusher_internal:subscription_succeeded", this.#succeeded(channel, first, offset), channel);
    for (const stream of streams)
      this.#socket.subscribe(stream, { from: "latest", onTaken: this.#takenOf(stream) }, () => {});
  }

  /** What is said of a new subscription: who is there, and of channels that can be read on elsewhere, from where. */
  #succeeded(channel: string, { kind }: StreamRef, offset: number): unknown {
    if (isPresenceChannel(channel)) {
      const members = this.#parts.registry.members(channel);
      const hash = Object.fromEntries(members.map(({ user_id, user_info }) => [user_id, user_info ?? null]));
      return { presence: { count: members.length, ids: Object.keys(hash), hash } };
    }
    if (kind === "user") return { offset, resumes: false, missed: "/api/v1/notifications/missed" };
    return kind === "project" ? { offset, resumes: false } : {};
  }

  /** What a socket has taken counts as delivered. */
  #takenOf(stream: StreamRef): ((entry: StreamEntry) => void) | undefined {
    if (stream.kind !== "user") return undefined;
    return ({ type, offset, isDelivered }) => {
      if (type === "notification" && !isDelivered) this.#parts.markDelivered(stream.userId, offset);
    };
  }

  #unsubscribe(channel: string): void {
    if (!this.#parts.registry.isIn(channel, this)) return;
    for (const stream of streamsOf(channel)) this.#socket.unsubscribe(stream);
    this.#leave(channel);
  }

  #leave(channel: string): void {
    const gone = this.#parts.registry.leave(channel, this);
    if (gone) this.#tellOthers(channel, "pusher_internal:member_removed", { user_id: gone.user_id });
  }

  #tellOthers(channel: string, event: string, data: unknown): void {
    const text = said(event, data, channel);
    for (const other of this.#parts.registry.socketsIn(channel)) if (other !== this) other.send(text);
  }

  /** @throws VALIDATION_FAILED, CHANNEL_FORBIDDEN */
  #clientEvent(event: string, channel: string, data: unknown): void {
    const { registry, hub, clock } = this.#parts;
    if (!this.#spendClientEvent()) {
      const limit = `A client may send ${CLIENT_EVENTS_PER_SECOND} events a second`;
      return this.send(errorText(PUSHER_CODE.clientEventRate, limit));
    }
    if (isPublicChannel(channel) || !registry.isIn(channel, this))
      throw forbidden("Clients send events to private and presence channels that they are in");
    const text = clientData(data);
    if (text === undefined)
      throw new PrismError("VALIDATION_FAILED", `The data of an event may have ${MAX_DATA_BYTES} bytes`);
    const sender = registry.memberIn(channel, this);
    hub.whisper(
      { kind: "pusher", channel },
      {
        type: event,
        data: text,
        at: clock.now(),
        correlationId: this.#requestId,
        except: this.socketId,
        ...(sender ? { sentBy: sender.user_id } : {}),
      },
    );
  }

  #spendClientEvent(): boolean {
    const now = this.#parts.clock.now();
    const refill = (Math.max(0, now - this.#tokensAt) * CLIENT_EVENTS_PER_SECOND) / 1000;
    this.#clientEventTokens = Math.min(CLIENT_EVENTS_PER_SECOND, this.#clientEventTokens + refill);
    this.#tokensAt = now;
    if (this.#clientEventTokens < 1) return false;
    this.#clientEventTokens--;
    return true;
  }

  #say(event: string, data: unknown, channel: string): void {
    this.send(said(event, data, channel));
  }

  /** What a client is told of a failure. The request id is the upgrade's: it is what the log knows this connection by. */
  #messageOf(thrown: unknown): string {
    const error = toPrismError(thrown);
    if (error.code === "INTERNAL")
      this.#parts.log.error({ requestId: this.#requestId, err: error.cause }, "a client's message failed");
    return error.message;
  }
}

function newSocketId(registry: PusherRegistry): string {
  for (;;) {
    const id = `${randomInt(1, ID_LIMIT)}.${randomInt(1, ID_LIMIT)}`;
    if (!registry.find(id)) return id;
  }
}

function userOrNull(principal: Principal | null): UserPrincipal | null {
  return principal && principal.kind !== "apiKey" ? principal : null;
}

/** @throws VALIDATION_FAILED */
function readMember(channelData: string): Member {
  if (channelData.length > MAX_CHANNEL_DATA_LENGTH)
    throw new PrismError("VALIDATION_FAILED", `channel_data may have ${MAX_CHANNEL_DATA_LENGTH} characters`);
  try {
    return readSaid(ChannelData, JSON.parse(channelData));
  } catch (error) {
    throw new PrismError("VALIDATION_FAILED", "channel_data is no JSON object with a user_id", { cause: error });
  }
}

function forbidden(message: string): PrismError {
  return new PrismError("CHANNEL_FORBIDDEN", message);
}
