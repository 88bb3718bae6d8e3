import type { UserPrincipal } from "../../../core/caller.ts";
import { isPresenceChannel, userOfChannel } from "./pusher-channel.ts";
import { messageText } from "./pusher-message.ts";

/** An occurrence on the embedded Pusher server, in the form of Pusher's webhooks. */
export type PusherHappening =
  | { readonly name: "channel_occupied" | "channel_vacated" | "cache_miss"; readonly channel: string }
  | { readonly name: "member_added" | "member_removed"; readonly channel: string; readonly user_id: string | number }
  | { readonly name: "subscription_count"; readonly channel: string; readonly subscription_count: number }
  | {
      readonly name: "client_event";
      readonly channel: string;
      readonly event: string;
      readonly data: string;
      readonly socket_id: string;
      readonly user_id?: string | number;
    };

/** Called for every occurrence. It must return at once and not throw. */
type PusherObserver = (happening: PusherHappening) => void;

/** The user that a connection has signed in as. */
export interface PusherUser {
  readonly id: string;
  readonly user_info?: unknown;
  /** Ids of users whose online status is sent to the connection. */
  readonly watchlist: readonly string[];
}

/** A change of users' online status, as clients of watchlists receive it. */
interface WatchlistEvent {
  readonly name: "online" | "offline";
  readonly user_ids: readonly string[];
}

/** Signed-in users of the embedded Pusher server: their connections and watchers. */
class PusherUsers {
  readonly #users = new Map<PusherSocket, PusherUser>();
  readonly #sockets = new Map<string, Set<PusherSocket>>();
  readonly #watchers = new Map<string, Set<PusherSocket>>();

  userOf(socket: PusherSocket): PusherUser | null {
    return this.#users.get(socket) ?? null;
  }

  socketsOf(userId: string): PusherSocket[] {
    return [...(this.#sockets.get(userId) ?? [])];
  }

  /** Replaces the watchlist of a socket that signs in again. */
  signIn(socket: PusherSocket, user: PusherUser): void {
    const before = this.#users.get(socket);
    if (before) this.#unwatch(socket, before);
    this.#users.set(socket, user);
    const isOnline = this.#sockets.has(user.id);
    add(this.#sockets, user.id, socket);
    for (const id of user.watchlist) add(this.#watchers, id, socket);
    this.#sendStatus(socket, user);
    if (!isOnline) this.#notifyWatchers("online", user.id, socket);
  }

  /** The socket is gone. */
  signOut(socket: PusherSocket): void {
    const user = this.#users.get(socket);
    if (!user) return;
    this.#users.delete(socket);
    this.#unwatch(socket, user);
    remove(this.#sockets, user.id, socket);
    if (!this.#sockets.has(user.id)) this.#notifyWatchers("offline", user.id, socket);
  }

  #unwatch(socket: PusherSocket, { watchlist }: PusherUser): void {
    for (const id of watchlist) remove(this.#watchers, id, socket);
  }

  #sendStatus(socket: PusherSocket, { watchlist }: PusherUser): void {
    const ids = [...new Set(watchlist)];
    const events: WatchlistEvent[] = [
      { name: "online", user_ids: ids.filter((id) => this.#sockets.has(id)) },
      { name: "offline", user_ids: ids.filter((id) => !this.#sockets.has(id)) },
    ];
    const known = events.filter(({ user_ids }) => user_ids.length > 0);
    if (known.length > 0 && mayWatch(socket)) socket.send(watchlistText(known));
  }

  /** A copy, because a watcher that reads too slowly is closed during the write. */
  #notifyWatchers(name: WatchlistEvent["name"], userId: string, origin: PusherSocket): void {
    const watchers = this.#watchers.get(userId);
    if (!watchers) return;
    const text = watchlistText([{ name, user_ids: [userId] }]);
    for (const watcher of [...watchers]) if (watcher !== origin && mayWatch(watcher)) watcher.send(text);
  }
}

/**
 * A connection of a Prism user watches others only while that user may list users, as in the auth
 * route.
 */
function mayWatch({ principal }: PusherSocket): boolean {
  return principal === null || principal.permissions.has("users:read");
}

function watchlistText(events: readonly WatchlistEvent[]): string {
  return messageText("pusher_internal:watchlist_events", { events });
}

function add(sets: Map<string, Set<PusherSocket>>, key: string, socket: PusherSocket): void {
  const set = sets.get(key);
  if (set) set.add(socket);
  else sets.set(key, new Set([socket]));
}

function remove(sets: Map<string, Set<PusherSocket>>, key: string, socket: PusherSocket): void {
  const set = sets.get(key);
  if (set?.delete(socket) && set.size === 0) sets.delete(key);
}

/** A member of a presence channel, as signed in `channel_data`. */
export interface PresenceMember {
  readonly user_id: string | number;
  readonly user_info?: unknown;
}

/** A socket of the embedded Pusher server, as the registry and the REST API see it. */
export interface PusherSocket {
  readonly socketId: string;
  /** The user for whom the auth route signed; null: not a user of Prism. */
  readonly principal: UserPrincipal | null;
  /**
   * Assigns the socket to the user for whom the auth route is about to sign. @throws RATE_LIMITED,
   * CHANNEL_FORBIDDEN when it belongs to another user
   */
  bind(principal: UserPrincipal): void;
  /** Sends a message of the server. A client that does not read is closed eventually. */
  send(text: string): void;
  /** Closes the connection for the app. Its client does not reconnect. */
  terminate(): void;
}

interface ChannelState {
  readonly sockets: Map<PusherSocket, PresenceMember | null>;
  /** The members of a presence channel and how many sockets each has. */
  readonly members: Map<string, { readonly member: PresenceMember; sockets: number }>;
}

/** Channels of the embedded Pusher server and their sockets, on all ports. */
export class PusherRegistry {
  /** Signed-in users. */
  readonly users = new PusherUsers();
  readonly #sockets = new Map<string, PusherSocket>();
  readonly #channels = new Map<string, ChannelState>();
  readonly #channelsOf = new Map<PusherSocket, Set<string>>();
  readonly #socketsOf = new Map<string, Set<PusherSocket>>();

  #observer: PusherObserver | null = null;

  /** Sets the observer of channels. */
  observe(observer: PusherObserver): void {
    this.#observer = observer;
  }

  /** Notifies the observer, except of a user's `sendToUser` channel, which backends do not see. */
  note(happening: PusherHappening): void {
    if (this.#observer && userOfChannel(happening.channel) === undefined) this.#observer(happening);
  }

  opened(socket: PusherSocket): void {
    this.#sockets.set(socket.socketId, socket);
  }

  /** The socket belongs to the user from now on. */
  bound(socket: PusherSocket, userId: string): void {
    const sockets = this.#socketsOf.get(userId);
    if (sockets) sockets.add(socket);
    else this.#socketsOf.set(userId, new Set([socket]));
  }

  /** The socket is closed; it has left all its channels before. */
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

  /** @returns whether the member is new in the channel, so that the others must be notified */
  join(channel: string, socket: PusherSocket, member: PresenceMember | null): boolean {
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

  /** @returns the member who left the channel with it; the others must be notified */
  leave(channel: string, socket: PusherSocket): PresenceMember | undefined {
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
  #noteCount(channel: string, { sockets }: ChannelState): void {
    if (this.#observer && !isPresenceChannel(channel))
      this.note({ name: "subscription_count", channel, subscription_count: sockets.size });
  }

  isIn(channel: string, socket: PusherSocket): boolean {
    return this.#channelsOf.get(socket)?.has(channel) ?? false;
  }

  /** The member that a presence channel shows for a socket. */
  memberIn(channel: string, socket: PusherSocket): PresenceMember | null {
    return this.#channels.get(channel)?.sockets.get(socket) ?? null;
  }

  /** The channels that a socket is in. */
  channelsIn(socket: PusherSocket): readonly string[] {
    return [...(this.#channelsOf.get(socket) ?? [])];
  }

  /** Occupied channels, without those of `sendToUser`. */
  *occupied(prefix = ""): Iterable<string> {
    for (const channel of this.#channels.keys())
      if (channel.startsWith(prefix) && userOfChannel(channel) === undefined) yield channel;
  }

  socketsIn(channel: string): Iterable<PusherSocket> {
    return this.#channels.get(channel)?.sockets.keys() ?? [];
  }

  subscriptionCount(channel: string): number {
    return this.#channels.get(channel)?.sockets.size ?? 0;
  }

  /** Members of a presence channel, each user once. */
  members(channel: string): PresenceMember[] {
    return [...(this.#channels.get(channel)?.members.values() ?? [])].map(({ member }) => member);
  }

  /** Whether a presence channel has the member already or has room for it. */
  hasRoomFor(channel: string, member: PresenceMember, maxMembers: number): boolean {
    const members = this.#channels.get(channel)?.members;
    return !members || members.size < maxMembers || members.has(String(member.user_id));
  }

  /** The sockets of a user: assigned by the auth route, or signed in. */
  socketsOf(userId: string): PusherSocket[] {
    return [...new Set([...(this.#socketsOf.get(userId) ?? []), ...this.users.socketsOf(userId)])];
  }

  /** The channels of a user's sockets, each once, without that of `sendToUser`. */
  channelsOf(userId: string): string[] {
    const sockets = [...(this.#socketsOf.get(userId) ?? [])];
    const channels = new Set(sockets.flatMap((socket) => this.channelsIn(socket)));
    return [...channels].filter((channel) => userOfChannel(channel) === undefined).sort();
  }
}
