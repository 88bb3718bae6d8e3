import type { Clock, EpochMs } from "../core/clock.ts";
import { assertNever, PrismError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Principal, RightsChange } from "../core/principal.ts";
import { addressGroup } from "../http/client-address.ts";
import type { Presence } from "./presence.ts";
import type { StreamRef } from "./stream.ts";

/**
 * Why a socket was closed (docs/realtime.md). A client should connect again after 1011, 1012 and
 * 4008, after 4429 later, after `expired` with a newer token, and not after the others.
 */
export const CLOSE = {
  tooBig: 1009,
  internal: 1011,
  restart: 1012,
  tooSlow: 4008,
  malformed: 4400,
  /** The credential was revoked: a logout, a disabled account, a revoked token or key. */
  unauthenticated: 4401,
  /** The token ended by its own time. A client that holds a newer one should connect again. */
  expired: 4401,
  forbidden: 4403,
  notFound: 4404,
  rate: 4429,
  /** It has not said in time who it is. */
  idle: 4401,
} as const;

export type CloseReason = keyof typeof CLOSE;

const TRANSPORTS = ["websocket", "pulse", "tasks", "sse", "socketio", "pusher"] as const;
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
  /**
   * Null: nobody yet, or nobody at all. The registry is told who it is by {@link
   * Connections.identify}.
   */
  readonly principal: Principal | null;
  /** It only watches: its user is not present because of it. */
  readonly isObserver?: boolean;
  /** Called about twice a second: pings, and ends what has been silent, slow or expired. */
  tick(now: EpochMs): void;
  /** The principal's rights have changed; null: it has ended. */
  rightsChanged(principal: Principal | null): void;
  /** The server stops. */
  restart(): void;
}

interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxPerUser: number;
  readonly maxPerIp: number;
  readonly maxPendingPerIp: number;
}

interface ConnectionsParts {
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
/**
 * The wheel: connections are looked at a slot at a time, so that a hundred thousand of them never
 * hold the loop for long.
 */
const SLOTS = 10;
const SLOT_EVERY_MS = 50;
/**
 * Connections whose rights are asked for again in one turn of the loop: each may be another
 * caller's, who is read from the tables.
 */
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

/**
 * All live connections: limits, the one timer for all of them, changes of rights, and the drain.
 */
export class Connections {
  readonly #parts: ConnectionsParts;
  readonly #slots: readonly Set<Connection>[] = Array.from({ length: SLOTS }, () => new Set<Connection>());
  readonly #entries = new Map<Connection, Entry>();
  /** By the principal's key. Arrays: nearly every caller has one connection, or a few. */
  readonly #byPrincipal = new Map<string, Connection[]>();
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
  /** Changes of rights that the next tick looks up, by caller. */
  #changes: RightsChange[] = [];
  /**
   * Changes that concern callers who are found only by looking at every connection, a slot a tick;
   * null: all callers.
   */
  #scanned: (RightsChange | null)[] = [];
  #slotsToScan = 0;
  #scanTurn = 0;
  /** Connections whose rights are to be read again. */
  readonly #stale = new Set<Connection>();
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
    if (principal?.kind === "operator") return;
    const group = addressGroup(address);
    const isFull = (this.#byAddress.get(group) ?? 0) >= maxPerIp;
    const isPendingFull = !principal && (this.#pendingByAddress.get(group) ?? 0) >= maxPendingPerIp;
    if (isFull || isPendingFull) {
      this.#warnOfRefusal(group, isFull ? "realtime.maxPerIp" : "realtime.maxPendingPerIp");
      throw tooMany();
    }
    if (principal) this.#requireRoomOf(principal);
  }

  /** One that has no principal is pending until {@link identify} or {@link markAnonymous}. */
  add(connection: Connection): void {
    const slot = this.#added++ % SLOTS;
    const entry: Entry = { slot, isPending: false, owner: null, userId: null };
    this.#entries.set(connection, entry);
    this.#slots[slot]?.add(connection);
    this.#counts[connection.transport]++;
    add(this.#byAddress, addressGroup(connection.address), 1);
    if (connection.principal) this.#own(connection, entry, connection.principal);
    else this.#setPending(connection, entry, true);
    this.#trace(connection, "a live connection is open");
  }

  /**
   * A connection has said who it is, to be called before its `principal` changes; nothing happens
   * when it is counted as theirs already.
   * @throws RATE_LIMITED when the caller has too many; the connection stays as it was.
   */
  identify(connection: Connection, principal: Principal): void {
    const entry = this.#entries.get(connection);
    if (!entry || entry.owner === principal.key) return;
    this.#requireRoomOf(principal);
    this.#disown(connection, entry);
    this.#setPending(connection, entry, false);
    this.#own(connection, entry, principal);
  }

  /** A connection need not say who it is: what it follows is for everybody. */
  markAnonymous(connection: Connection): void {
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
    this.#disown(connection, entry);
    this.#stale.delete(connection);
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

  /**
   * The rights of connections that this concerns are read again: those of one caller at the next
   * tick, those of a role's or a project's people within half a second; of tens of thousands the
   * last a little later. @param change null: anybody's rights may be others
   */
  noteRightsChanged(change: RightsChange | null): void {
    if (change && callerOf(change) !== null) this.#changes.push(change);
    else {
      this.#scanned.push(change);
      this.#slotsToScan = SLOTS;
    }
  }

  /**
   * Tells all connections to go, spread over the time, so that their clients do not come back at
   * once.
   */
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
    this.#findStale();
    if (this.#stale.size > 0 && !this.#isRechecking) {
      this.#isRechecking = true;
      this.#recheck();
    }
    for (const connection of slot) connection.tick(now);
  }

  #findStale(): void {
    for (const change of this.#changes.splice(0))
      for (const connection of this.#byPrincipal.get(callerOf(change) ?? "") ?? [])
        if (connection.principal && concerns(change, connection.principal)) this.#stale.add(connection);
    if (this.#slotsToScan === 0) return;
    const slot = this.#slots[this.#scanTurn++ % SLOTS] as Set<Connection>;
    for (const connection of slot) {
      const { principal } = connection;
      if (principal && this.#scanned.some((change) => change === null || concerns(change, principal)))
        this.#stale.add(connection);
    }
    if (--this.#slotsToScan === 0) this.#scanned = [];
  }

  /** Goes on in the next turn of the loop with what is left. */
  #recheck(): void {
    const { access, log } = this.#parts;
    let left = RECHECKS_PER_TURN;
    for (const connection of this.#stale) {
      if (left-- === 0) break;
      this.#stale.delete(connection);
      try {
        if (connection.principal) connection.rightsChanged(access.refresh(connection.principal));
      } catch (error) {
        log.error({ err: error }, "the rights of a live connection could not be read; trying again");
        this.#stale.add(connection);
        this.#isRechecking = false;
        return;
      }
    }
    if (this.#stale.size > 0) setImmediate(() => this.#recheck());
    else this.#isRechecking = false;
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
  #requireRoomOf({ key, kind }: Principal): void {
    if (kind !== "operator" && (this.#byPrincipal.get(key)?.length ?? 0) >= this.#parts.limits.maxPerUser)
      throw tooMany();
  }

  #own(connection: Connection, entry: Entry, principal: Principal): void {
    entry.owner = principal.key;
    const others = this.#byPrincipal.get(principal.key);
    if (others) others.push(connection);
    else this.#byPrincipal.set(principal.key, [connection]);
    if (principal.kind === "apiKey" || principal.userId === null || connection.isObserver) return;
    entry.userId = principal.userId;
    this.#parts.presence.joined(principal.userId);
  }

  #disown(connection: Connection, entry: Entry): void {
    if (entry.owner !== null) {
      const all = this.#byPrincipal.get(entry.owner) ?? [];
      const last = all.pop();
      // Their order does not matter.
      if (last && last !== connection) all[all.indexOf(connection)] = last;
      if (all.length === 0) this.#byPrincipal.delete(entry.owner);
    }
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

/** The key of the one principal whose rights have changed; null where they may be many. */
function callerOf(change: RightsChange): string | null {
  switch (change.of) {
    case "user":
    case "session":
    case "token":
      return `user:${change.userId}`;
    case "key":
      return `key:${change.keyId}`;
    case "role":
    case "project":
      return null;
    default:
      return assertNever(change);
  }
}

function concerns(change: RightsChange, principal: Principal): boolean {
  switch (change.of) {
    case "user":
    case "key":
      return callerOf(change) === principal.key;
    case "session":
      return principal.kind !== "apiKey" && principal.sessionId === change.sessionId;
    case "token":
      return principal.kind !== "apiKey" && principal.tokenId === change.tokenId;
    case "role":
      return principal.kind !== "apiKey" && principal.roleIds.has(change.roleId);
    case "project":
      if (principal.kind === "apiKey") return principal.projectId === change.projectId;
      return principal.memberships.has(change.projectId) || principal.permissions.has("projects:all");
    default:
      return assertNever(change);
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
