import { randomInt } from "node:crypto";
import type { Principal, UserPrincipal } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { toPrismError } from "../../../http/api/error-reply.ts";
import { parseQuery } from "../../../http/body/input.ts";
import type { LiveSocket } from "../../live-socket.ts";
import { type StreamEntry, type StreamRef, streamName } from "../../stream.ts";
import { type Session, type SocketRouteParts, serveSocketRoute } from "../socket-route.ts";
import { insideProtocol } from "../upgrade.ts";
import { Admission, type AdmissionParts, forbidden } from "./pusher-admission.ts";
import {
  cachedEntry,
  isCacheChannel,
  isEncryptedChannel,
  isPresenceChannel,
  isPublicChannel,
  serverToUserChannel,
  streamsOf,
  userOfChannel,
} from "./pusher-channel.ts";
import {
  ClientMessage,
  clientData,
  closing,
  errorText,
  MAX_DATA_BYTES,
  messageText,
  PUSHER_CODE,
  parseMessage,
  pusherProtocol,
  ToSubscribe,
  ToUnsubscribe,
} from "./pusher-message.ts";
import type { PresenceMember, PusherRegistry, PusherSocket } from "./pusher-registry.ts";

interface PusherSessionParts extends SocketRouteParts, AdmissionParts {
  /** How long new subscribers receive the last event of a cache channel. */
  readonly cacheTtlMs: number;
  /**
   * The caller for the lifetime of the login: a connection outlives the access token that it was
   * bound with.
   */
  forLogin(principal: UserPrincipal): UserPrincipal;
  /** Records that an entry has reached a client of its recipient. */
  markDelivered(userId: string, offset: number): void;
}

const ACTIVITY_TIMEOUT_S = 120;
const CLIENT_EVENTS_PER_SECOND = 10;
/** Each half of a socket id; both together cannot be guessed. */
const ID_LIMIT = 2 ** 48 - 1;
const CLIENT_EVENT = "client-";

/** The session of one client. */
class PusherSession implements Session, PusherSocket {
  readonly socketId: string;
  readonly #socket: LiveSocket;
  readonly #requestId: string;
  readonly #parts: PusherSessionParts;
  readonly #admission: Admission;
  #clientEventTokens = CLIENT_EVENTS_PER_SECOND;
  #tokensAt: number;

  constructor(socket: LiveSocket, requestId: string, parts: PusherSessionParts) {
    this.#socket = socket;
    this.#requestId = requestId;
    this.#parts = parts;
    this.#admission = new Admission(parts);
    this.#tokensAt = parts.clock.now();
    this.socketId = newSocketId(parts.registry);
    socket.id = this.socketId;
    parts.registry.opened(this);
    const established = { socket_id: this.socketId, activity_timeout: ACTIVITY_TIMEOUT_S };
    this.send(messageText("pusher:connection_established", established));
  }

  get principal(): UserPrincipal | null {
    return userOrNull(this.#socket.principal);
  }

  bind(principal: UserPrincipal): void {
    const { registry } = this.#parts;
    const bound = this.principal;
    if (bound && bound.key !== principal.key) throw forbidden("The connection belongs to another user");
    // It stays with its first login: a second one would keep it open when the first logs out.
    if (bound) return;
    const signedIn = registry.users.userOf(this);
    if (signedIn && signedIn.id !== principal.userId) throw forbidden("The connection has signed in as another user");
    for (const channel of registry.channelsIn(this)) this.#admission.requireRight(principal, channel);
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
      this.#answer(parseMessage(ClientMessage, message));
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
        return this.send(messageText("pusher:pong", {}));
      case "pusher:pong":
        return;
      case "pusher:subscribe":
        return this.#subscribe(data);
      case "pusher:signin":
        return this.#signIn(data);
      case "pusher:unsubscribe":
        return this.#unsubscribe(parseMessage(ToUnsubscribe, data).channel);
      default:
        throw new PrismError("VALIDATION_FAILED", "Unknown event");
    }
  }

  #subscribe(data: unknown): void {
    const request = parseMessage(ToSubscribe, data);
    const { channel } = request;
    try {
      this.#join(channel, this.#admission.admit(this, request));
    } catch (error) {
      const refusal = { type: "AuthError", error: this.#messageOf(error), status: 401 };
      this.send(messageText("pusher:subscription_error", refusal, channel));
    }
  }

  /** As at Pusher, a refused sign-in closes the connection. */
  #signIn(data: unknown): void {
    try {
      const { user, userData } = this.#admission.admitUser(this, data);
      this.#parts.connections.markAnonymous(this.#socket);
      this.send(messageText("pusher:signin_success", { user_data: userData }));
      this.#parts.registry.users.signIn(this, user);
      this.#followOwnUser(serverToUserChannel(user.id));
    } catch (error) {
      this.#socket.closeWith(closing(PUSHER_CODE.unauthorised, this.#messageOf(error)));
    }
  }

  /** Clients may subscribe to it after the sign-in; without that they receive its events too. */
  #followOwnUser(channel: string): void {
    const { registry } = this.#parts;
    if (registry.isIn(channel, this)) return;
    registry.join(channel, this, null);
    this.#socket.subscribe({ kind: "pusher", channel }, { from: "latest" }, () => {});
  }

  #join(channel: string, member: PresenceMember | null): void {
    const { registry, connections, hub } = this.#parts;
    const streams = streamsOf(channel);
    const [first = { kind: "pusher", channel } as const] = streams;
    const offset = hub.head(first);
    if (registry.isIn(channel, this)) {
      this.#sendTo("pusher_internal:subscription_succeeded", this.#succeeded(channel, first, offset), channel);
      return;
    }
    connections.markAnonymous(this.#socket);
    const isNew = registry.join(channel, this, member);
    if (member && isNew) this.#sendToOthers(channel, "pusher_internal:member_added", member);
    this.#sendTo("pusher_internal:subscription_succeeded", this.#succeeded(channel, first, offset), channel);
    if (isCacheChannel(channel)) this.#sendCached(channel);
    for (const stream of streams)
      this.#socket.subscribe(stream, { from: "latest", onAccepted: this.#deliveryMark(stream) }, () => {});
  }

  /** Sends the last announced event; one that is committed but not announced comes live. */
  #sendCached(channel: string): void {
    const { hub, clock, registry, cacheTtlMs } = this.#parts;
    const stream = { kind: "pusher", channel } as const;
    const entry = cachedEntry(hub, channel, clock.now() - cacheTtlMs);
    if (entry) return this.send(pusherProtocol.entryText(streamName(stream), entry));
    // Without data, as clients expect it.
    this.send(JSON.stringify({ event: "pusher:cache_miss", channel }));
    registry.note({ name: "cache_miss", channel });
  }

  /** The data of a new subscription: the members, or where a resumable channel starts. */
  #succeeded(channel: string, { kind }: StreamRef, offset: number): unknown {
    if (isPresenceChannel(channel)) {
      const members = this.#parts.registry.members(channel);
      const hash = Object.fromEntries(members.map(({ user_id, user_info }) => [user_id, user_info ?? null]));
      return { presence: { count: members.length, ids: members.map(({ user_id }) => user_id), hash } };
    }
    if (kind === "user") return { offset, resumes: false, missed: "/api/v1/notifications/missed" };
    return kind === "project" ? { offset, resumes: false } : {};
  }

  /** An entry that the socket accepted counts as delivered. */
  #deliveryMark(stream: StreamRef): ((entry: StreamEntry) => void) | undefined {
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
    const member = this.#parts.registry.leave(channel, this);
    if (member) this.#sendToOthers(channel, "pusher_internal:member_removed", { user_id: member.user_id });
  }

  #sendToOthers(channel: string, event: string, data: unknown): void {
    const text = messageText(event, data, channel);
    for (const other of this.#parts.registry.socketsIn(channel)) if (other !== this) other.send(text);
  }

  /** @throws VALIDATION_FAILED, CHANNEL_FORBIDDEN */
  #clientEvent(event: string, channel: string, data: unknown): void {
    const { registry, hub, clock } = this.#parts;
    if (!this.#spendClientEvent()) {
      const limit = `A client may send ${CLIENT_EVENTS_PER_SECOND} events a second`;
      return this.send(errorText(PUSHER_CODE.clientEventRate, limit));
    }
    const isRefused = isPublicChannel(channel) || isEncryptedChannel(channel) || userOfChannel(channel) !== undefined;
    if (isRefused || !registry.isIn(channel, this))
      throw forbidden(
        "Clients may send events only to private and presence channels they have joined, not to encrypted ones",
      );
    const text = clientData(data);
    if (text === undefined)
      throw new PrismError("VALIDATION_FAILED", `The data of an event may have at most ${MAX_DATA_BYTES} bytes`);
    const sender = registry.memberIn(channel, this);
    hub.broadcastTransient(
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
    const sentBy = sender ? { user_id: sender.user_id } : {};
    const occurrence = { name: "client_event", channel, event, socket_id: this.socketId, ...sentBy } as const;
    registry.note({ ...occurrence, data: JSON.parse(text) as string });
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

  #sendTo(event: string, data: unknown, channel: string): void {
    this.send(messageText(event, data, channel));
  }

  /** The message of an error for the client. The request id is the upgrade's, which the log has. */
  #messageOf(thrown: unknown): string {
    const error = toPrismError(thrown);
    if (error.code === "INTERNAL")
      this.#parts.log.error({ requestId: this.#requestId, err: error.cause }, "handling a client's message failed");
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
  return principal && "userId" in principal && principal.userId !== null ? principal : null;
}

export interface PusherParts extends PusherSessionParts {
  /** Compares with the app's key in constant time. */
  isKey(key: string): boolean;
}

const MIN_PROTOCOL = 5;
const MAX_PROTOCOL = 7;

/** Why a connection is refused: a Pusher code and message; null: it is not. */
type Refusal = readonly [code: number, message: string] | null;

/**
 * Serves the WebSocket side of the embedded Pusher server: `/app/:key`, protocols 5 to 7
 * (docs/pusher.md).
 */
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
      // As at Pusher: clients understand the code, but not the status of a refused upgrade.
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
