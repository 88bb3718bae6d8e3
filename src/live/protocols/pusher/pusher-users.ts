import { said } from "./pusher-message.ts";
import type { PusherSocket } from "./pusher-registry.ts";

/** Whom a connection has signed in as. */
export interface PusherUser {
  readonly id: string;
  readonly user_info?: unknown;
  /** Ids of users whose coming and going the connection hears of. */
  readonly watchlist: readonly string[];
}

/** One change of the online status of users, as clients of watchlists hear it. */
interface WatchlistEvent {
  readonly name: "online" | "offline";
  readonly user_ids: readonly string[];
}

/** Signed-in users of the embedded Pusher server: their connections, and who watches them. */
export class PusherUsers {
  readonly #users = new Map<PusherSocket, PusherUser>();
  readonly #sockets = new Map<string, Set<PusherSocket>>();
  readonly #watchers = new Map<string, Set<PusherSocket>>();

  userOf(socket: PusherSocket): PusherUser | null {
    return this.#users.get(socket) ?? null;
  }

  socketsOf(userId: string): PusherSocket[] {
    return [...(this.#sockets.get(userId) ?? [])];
  }

  /** Also replaces the watchlist of a socket that signs in once more. */
  signIn(socket: PusherSocket, user: PusherUser): void {
    const before = this.#users.get(socket);
    if (before) this.#unwatch(socket, before);
    this.#users.set(socket, user);
    const isOnline = this.#sockets.has(user.id);
    add(this.#sockets, user.id, socket);
    for (const id of user.watchlist) add(this.#watchers, id, socket);
    this.#tellStatus(socket, user);
    if (!isOnline) this.#tellWatchers("online", user.id, socket);
  }

  /** The socket is gone. */
  signOut(socket: PusherSocket): void {
    const user = this.#users.get(socket);
    if (!user) return;
    this.#users.delete(socket);
    this.#unwatch(socket, user);
    remove(this.#sockets, user.id, socket);
    if (!this.#sockets.has(user.id)) this.#tellWatchers("offline", user.id, socket);
  }

  #unwatch(socket: PusherSocket, { watchlist }: PusherUser): void {
    for (const id of watchlist) remove(this.#watchers, id, socket);
  }

  #tellStatus(socket: PusherSocket, { watchlist }: PusherUser): void {
    const ids = [...new Set(watchlist)];
    const events: WatchlistEvent[] = [
      { name: "online", user_ids: ids.filter((id) => this.#sockets.has(id)) },
      { name: "offline", user_ids: ids.filter((id) => !this.#sockets.has(id)) },
    ];
    const known = events.filter(({ user_ids }) => user_ids.length > 0);
    if (known.length > 0 && mayWatch(socket)) socket.send(watchlistText(known));
  }

  /** A copy: a watcher that reads too slowly is closed while it is written to. */
  #tellWatchers(name: WatchlistEvent["name"], userId: string, origin: PusherSocket): void {
    const watchers = this.#watchers.get(userId);
    if (!watchers) return;
    const text = watchlistText([{ name, user_ids: [userId] }]);
    for (const watcher of [...watchers]) if (watcher !== origin && mayWatch(watcher)) watcher.send(text);
  }
}

/** As in the auth route, whoever signed: a connection of a user of ours watches while that user may list users. */
function mayWatch({ principal }: PusherSocket): boolean {
  return principal === null || principal.permissions.has("users:read");
}

function watchlistText(events: readonly WatchlistEvent[]): string {
  return said("pusher_internal:watchlist_events", { events });
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
