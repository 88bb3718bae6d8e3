import type { UserPrincipal } from "../../../core/principal.ts";
import { isPresenceChannel, userOfChannel } from "./pusher-channel.ts";
import type { PusherHappening, PusherObserver } from "./pusher-observer.ts";
import { PusherUsers } from "./pusher-users.ts";

/** Whom a presence channel shows: what was signed as `channel_data`. */
export interface Member {
  readonly user_id: string | number;
  readonly user_info?: unknown;
}

/** A socket of the embedded Pusher server, as the registry and the REST API see it. */
export interface PusherSocket {
  readonly socketId: string;
  /** Whose it is, since the auth route has been asked for it; null: nobody of ours. */
  readonly principal: UserPrincipal | null;
  /** The auth route is about to sign for this socket. @throws RATE_LIMITED, CHANNEL_FORBIDDEN when it is somebody else's already */
  bind(principal: UserPrincipal): void;
  /** Sends a message of the server's own; a client that does not read is ended in the end. */
  send(text: string): void;
  /** The app ends the connection, and its client stays away. */
  terminate(): void;
}

interface Channel {
  readonly sockets: Map<PusherSocket, Member | null>;
  /** How many sockets each member of a presence channel has there, and what is shown of them. */
  readonly members: Map<string, { readonly member: Member; sockets: number }>;
}

/** Who is in which channel of the embedded Pusher server, on all ports. */
export class PusherRegistry {
  /** Who has signed in. */
  readonly users = new PusherUsers();
  readonly #sockets = new Map<string, PusherSocket>();
  readonly #channels = new Map<string, Channel>();
  readonly #channelsOf = new Map<PusherSocket, Set<string>>();
  readonly #socketsOf = new Map<string, Set<PusherSocket>>();

  #observer: PusherObserver | null = null;

  /** From now on the observer hears of what happens in channels. */
  observe(observer: PusherObserver): void {
    this.#observer = observer;
  }

  /** Tells the observer; of a user's own channel nothing, which is no channel to a backend. */
  note(happening: PusherHappening): void {
    if (this.#observer && userOfChannel(happening.channel) === undefined) this.#observer(happening);
  }

  opened(socket: PusherSocket): void {
    this.#sockets.set(socket.socketId, socket);
  }

  /** The socket is a user's from now on. */
  bound(socket: PusherSocket, userId: string): void {
    const sockets = this.#socketsOf.get(userId);
    if (sockets) sockets.add(socket);
    else this.#socketsOf.set(userId, new Set([socket]));
  }

  /** The socket is gone, and has left all its channels before. */
  closed(socket: PusherSocket): void {
    this.#sockets.delete(socket.socketId);
    this.users.signOut(socket);
    const userId = socket.principal?.userId ?? "";
    const sockets = this.#socketsOf.get(userId);
    if (sockets?.delete(socket) && sockets.size === 0) this.#socketsOf.delete(userId);
  }

  find(socketId: string): PusherSocket | undefined {
    return this.#sockets.get(socketId);
  }

  /** @returns whether the member is new in the channel, and the others are to hear of it. */
  join(channel: string, socket: PusherSocket, member: Member | null): boolean {
    const entry = this.#channels.get(channel) ?? { sockets: new Map(), members: new Map() };
    this.#channels.set(channel, entry);
    const own = this.#channelsOf.get(socket) ?? new Set();
    this.#channelsOf.set(socket, own.add(channel));
    entry.sockets.set(socket, member);
    if (entry.sockets.size === 1) this.note({ name: "channel_occupied", channel });
    this.#noteCount(channel, entry);
    if (!member) return false;
    const known = entry.members.get(String(member.user_id));
    if (known) {
      known.sockets++;
      return false;
    }
    entry.members.set(String(member.user_id), { member, sockets: 1 });
    this.note({ name: "member_added", channel, user_id: member.user_id });
    return true;
  }

  /** @returns the member who is gone from the channel with it, and of whom the others are to hear. */
  leave(channel: string, socket: PusherSocket): Member | undefined {
    const entry = this.#channels.get(channel);
    const member = entry?.sockets.get(socket);
    if (!entry?.sockets.delete(socket)) return undefined;
    this.#noteCount(channel, entry);
    if (entry.sockets.size === 0) {
      this.#channels.delete(channel);
      this.note({ name: "channel_vacated", channel });
    }
    const own = this.#channelsOf.get(socket);
    if (own?.delete(channel) && own.size === 0) this.#channelsOf.delete(socket);
    const known = member ? entry.members.get(String(member.user_id)) : undefined;
    if (!known || --known.sockets > 0) return undefined;
    entry.members.delete(String(known.member.user_id));
    this.note({ name: "member_removed", channel, user_id: known.member.user_id });
    return known.member;
  }

  /** As at Pusher, presence channels are counted by their members alone. */
  #noteCount(channel: string, { sockets }: Channel): void {
    if (this.#observer && !isPresenceChannel(channel))
      this.note({ name: "subscription_count", channel, subscription_count: sockets.size });
  }

  isIn(channel: string, socket: PusherSocket): boolean {
    return this.#channelsOf.get(socket)?.has(channel) ?? false;
  }

  /** Whom a presence channel shows for a socket. */
  memberIn(channel: string, socket: PusherSocket): Member | null {
    return this.#channels.get(channel)?.sockets.get(socket) ?? null;
  }

  /** The channels that a socket is in. */
  channelsIn(socket: PusherSocket): readonly string[] {
    return [...(this.#channelsOf.get(socket) ?? [])];
  }

  /** Channels that somebody is in, but those of `sendToUser`. */
  *occupied(prefix = ""): Iterable<string> {
    for (const channel of this.#channels.keys())
      if (channel.startsWith(prefix) && userOfChannel(channel) === undefined) yield channel;
  }

  socketsIn(channel: string): Iterable<PusherSocket> {
    return this.#channels.get(channel)?.sockets.keys() ?? [];
  }

  /** How many sockets are in the channel. */
  subscriptionCount(channel: string): number {
    return this.#channels.get(channel)?.sockets.size ?? 0;
  }

  /** Of a presence channel; each user once. */
  members(channel: string): Member[] {
    return [...(this.#channels.get(channel)?.members.values() ?? [])].map(({ member }) => member);
  }

  /** Whether a presence channel shows the member, or could. */
  hasRoomFor(channel: string, member: Member, maxMembers: number): boolean {
    const members = this.#channels.get(channel)?.members;
    return !members || members.size < maxMembers || members.has(String(member.user_id));
  }

  /** The sockets that the auth route has given to a user, and those that have signed in as one. */
  socketsOf(userId: string): PusherSocket[] {
    return [...new Set([...(this.#socketsOf.get(userId) ?? []), ...this.users.socketsOf(userId)])];
  }

  /** The channels that a user's sockets are in, each once; without that of `sendToUser`. */
  channelsOf(userId: string): string[] {
    const sockets = [...(this.#socketsOf.get(userId) ?? [])];
    const channels = new Set(sockets.flatMap((socket) => this.channelsIn(socket)));
    return [...channels].filter((channel) => userOfChannel(channel) === undefined).sort();
  }
}
