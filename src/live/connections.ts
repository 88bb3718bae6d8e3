import type { Clock, EpochMs } from "../core/clock.ts";
import { PrismError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Principal } from "../core/principal.ts";
import { addressGroup } from "../http/client-address.ts";
import type { Presence } from "./presence.ts";
import type { StreamRef } from "./stream.ts";

export const TRANSPORTS = ["websocket", "pulse", "tasks", "sse", "socketio", "pusher"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Who may follow what, asked at subscribing and again whenever rights change. */
export interface RealtimeAccess {
  check(principal: Principal, stream: StreamRef): "allowed" | "forbidden" | "notFound";
  /** The principal as it is now; null when its credential or account has ended. */
  refresh(principal: Principal): Principal | null;
}

/** A live connection of any protocol, as the registry sees it. */
export interface Connection {
  readonly transport: Transport;
  readonly address: string;
  /** Null: nobody yet, or nobody at all. The registry is told who it is by {@link Connections.identify}. */
  readonly principal: Principal | null;
  /** Called about twice a second: pings, and ends what has been silent, slow or expired. */
  tick(now: EpochMs): void;
  /** The principal's rights have changed; null: it has ended. */
  rightsChanged(principal: Principal | null): void;
  /** The server stops. */
  restart(): void;
}

export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxPerUser: number;
  readonly maxPerIp: number;
  readonly maxPendingPerIp: number;
}

export interface ConnectionsParts {
  readonly limits: ConnectionLimits;
  readonly presence: Presence;
  readonly access: RealtimeAccess;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How long a connection may take to authenticate or subscribe before it stops being pending. */
export const PENDING_LIMIT_MS = 10_000;
/** The longest message of a connection that has yet to say who it is. */
export const MAX_PENDING_MESSAGE_BYTES = 4096;
/** The wheel: connections are looked at a slot at a time, so that a hundred thousand of them never hold the loop for long. */
const SLOTS = 10;
const SLOT_EVERY_MS = 50;
/** Connections whose rights are asked for again in one turn of the loop: each may be another caller's, who is read from the tables. */
const RECHECKS_PER_TURN = 100;
const WARN_EVERY_MS = 60_000;
/** Connections are told to go in this many parts while the server drains. */
const DRAIN_PARTS = 10;

/** What a connection is counted under. */
interface Entry {
  readonly slot: number;
  isPending: boolean;
  /** The principal's key, and the user whose presence it is; null: nobody's. */
  owner: string | null;
  userId: string | null;
}

/** All live connections: limits, the one timer for all of them, changes of rights, and the drain. */
export class Connections {
  readonly #parts: ConnectionsParts;
  readonly #slots: readonly Set<Connection>[] = Array.from({ length: SLOTS }, () => new Set<Connection>());
  readonly #entries = new Map<Connection, Entry>();
  readonly #byPrincipal = new Map<string, number>();
  readonly #byAddress = new Map<string, number>();
  readonly #pendingByAddress = new Map<string, number>();
  readonly #counts: Record<Transport, number> = {
    websocket: 0,
    pulse: 0,
    tasks: 0,
    sse: 0,
    socketio: 0,
    pusher: 0,
  };
  readonly #timer: NodeJS.Timeout;
  #added = 0;
  #turn = 0;
  /** Slots whose connections have yet to be asked whether they may still do what they do. */
  #slotsToRecheck = 0;
  #recheckTurn = 0;
  #isRechecking = false;
  #slowClosed = 0;
  #warnedAt: number | null = null;

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#tick(), SLOT_EVERY_MS);
    this.#timer.unref();
  }

  /**
   * To be asked before the upgrade.
   * @param principal null where the protocol authenticates later.
   * @throws OVERLOADED, RATE_LIMITED when one more would be too many.
   */
  requireRoom(principal: Principal | null, address: string): void {
    const { maxConnections, maxPerIp, maxPendingPerIp } = this.#parts.limits;
    if (this.#entries.size >= maxConnections) {
      throw new PrismError("OVERLOADED", "Too many live connections", { retryAfterMs: 5000 });
    }
    const group = addressGroup(address);
    const isFull = (this.#byAddress.get(group) ?? 0) >= maxPerIp;
    const isPendingFull = !principal && (this.#pendingByAddress.get(group) ?? 0) >= maxPendingPerIp;
    if (isFull || isPendingFull) {
      this.#warnOfRefusal(group, isFull ? "realtime.maxPerIp" : "realtime.maxPendingPerIp");
      throw tooMany();
    }
    if (principal) this.#requireRoomOf(principal);
  }

  /** One that has no principal is pending until {@link identify} or {@link settle}. */
  add(connection: Connection): void {
    const slot = this.#added++ % SLOTS;
    const entry: Entry = { slot, isPending: false, owner: null, userId: null };
    this.#entries.set(connection, entry);
    this.#slots[slot]?.add(connection);
    this.#counts[connection.transport]++;
    add(this.#byAddress, addressGroup(connection.address), 1);
    if (connection.principal) this.#own(entry, connection.principal);
    else this.#setPending(connection, entry, true);
    this.#trace(connection, "a live connection is open");
  }

  /**
   * A connection has said who it is, to be called before its `principal` changes; nothing happens when it is counted as theirs already.
   * @throws RATE_LIMITED when the caller has too many; the connection stays as it was.
   */
  identify(connection: Connection, principal: Principal): void {
    const entry = this.#entries.get(connection);
    if (!entry || entry.owner === principal.key) return;
    this.#requireRoomOf(principal);
    this.#disown(entry);
    this.#setPending(connection, entry, false);
    this.#own(entry, principal);
  }

  /** A connection need not say who it is: what it follows is for everybody. */
  settle(connection: Connection): void {
    const entry = this.#entries.get(connection);
    if (entry) this.#setPending(connection, entry, false);
  }

  isPending(connection: Connection): boolean {
    return this.#entries.get(connection)?.isPending ?? false;
  }

  delete(connection: Connection): void {
    const entry = this.#entries.get(connection);
    if (!entry) return;
    this.#entries.delete(connection);
    this.#slots[entry.slot]?.delete(connection);
    this.#counts[connection.transport]--;
    add(this.#byAddress, addressGroup(connection.address), -1);
    this.#setPending(connection, entry, false);
    this.#disown(entry);
    this.#trace(connection, "a live connection is closed");
  }

  #trace({ transport, principal }: Connection, message: string): void {
    const { log } = this.#parts;
    if (log.isDebug()) log.debug({ transport, caller: principal?.key ?? null, open: this.#entries.size }, message);
  }

  get counts(): Readonly<Record<Transport, number>> {
    return this.#counts;
  }

  /** Connections ended so far because their client did not read. */
  get slowClosed(): number {
    return this.#slowClosed;
  }

  noteSlow(): void {
    this.#slowClosed++;
  }

  /** Roles, members, keys or accounts have changed somewhere: every connection is looked at within half a second; of tens of thousands the last a little later. */
  noteRightsChanged(): void {
    this.#slotsToRecheck = SLOTS;
  }

  /** Tells all connections to go, spread over the time, so that their clients do not come back at once. */
  async drain(limitMs: number): Promise<void> {
    clearInterval(this.#timer);
    const all = [...this.#entries.keys()];
    const perPart = Math.ceil(all.length / DRAIN_PARTS);
    for (let from = 0; from < all.length; from += perPart) {
      for (const connection of all.slice(from, from + perPart)) connection.restart();
      if (from + perPart < all.length) await new Promise((resolve) => setTimeout(resolve, limitMs / DRAIN_PARTS));
    }
  }

  #tick(): void {
    const now = this.#parts.clock.now();
    const slot = this.#slots[this.#turn++ % SLOTS] as Set<Connection>;
    if (this.#slotsToRecheck > 0 && !this.#isRechecking) {
      this.#slotsToRecheck--;
      this.#isRechecking = true;
      this.#recheck((this.#slots[this.#recheckTurn++ % SLOTS] as Set<Connection>).values());
    }
    for (const connection of slot) connection.tick(now);
  }

  /** Goes on in the next turn of the loop with what is left of a slot. */
  #recheck(left: Iterator<Connection, undefined>): void {
    const { access, log } = this.#parts;
    try {
      for (let i = 0; i < RECHECKS_PER_TURN; i++) {
        const connection = left.next().value;
        if (!connection) {
          this.#isRechecking = false;
          return;
        }
        if (connection.principal) connection.rightsChanged(access.refresh(connection.principal));
      }
      setImmediate(() => this.#recheck(left));
    } catch (error) {
      log.error({ err: error }, "the rights of live connections could not be read; trying again");
      this.#isRechecking = false;
      this.#slotsToRecheck = SLOTS;
    }
  }

  /** At most once a minute: a limit that refuses one client of an address usually refuses many. */
  #warnOfRefusal(address: string, setting: string): void {
    const { clock, log } = this.#parts;
    const now = clock.elapsed();
    if (this.#warnedAt !== null && now - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = now;
    log.warn(
      { address, setting },
      `live connections of one address are refused by ${setting}; if a proxy has this address, list it in trustedProxies`,
    );
  }

  /** @throws RATE_LIMITED */
  #requireRoomOf({ key }: Principal): void {
    if ((this.#byPrincipal.get(key) ?? 0) >= this.#parts.limits.maxPerUser) throw tooMany();
  }

  #own(entry: Entry, principal: Principal): void {
    entry.owner = principal.key;
    add(this.#byPrincipal, principal.key, 1);
    if (principal.kind === "apiKey") return;
    entry.userId = principal.userId;
    this.#parts.presence.joined(principal.userId);
  }

  #disown(entry: Entry): void {
    if (entry.owner !== null) add(this.#byPrincipal, entry.owner, -1);
    if (entry.userId !== null) this.#parts.presence.left(entry.userId);
    entry.owner = null;
    entry.userId = null;
  }

  #setPending(connection: Connection, entry: Entry, isPending: boolean): void {
    if (entry.isPending === isPending) return;
    entry.isPending = isPending;
    add(this.#pendingByAddress, addressGroup(connection.address), isPending ? 1 : -1);
  }
}

function tooMany(): PrismError {
  return new PrismError("RATE_LIMITED", "Too many live connections of one caller", { retryAfterMs: 10_000 });
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
