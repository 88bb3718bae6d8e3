import { type Principal, personKey, type RightsChange } from "../core/caller.ts";
import { assertNever, PrismError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Clock, EpochMs } from "../core/time/clock.ts";
import { addressGroup } from "../http/server/headers.ts";
import { addTo, countOf, type MultiMap, removeFrom, valuesOf } from "./hub.ts";
import type { Presence } from "./presence.ts";
import type { StreamRef } from "./stream.ts";

/**
 * Close codes (docs/realtime.md). A client should reconnect after 1011, 1012 and 4008, later after
 * 4429, with a newer token after `expired`, and not after the others.
 */
export const CLOSE = {
  tooBig: 1009,
  internal: 1011,
  restart: 1012,
  tooSlow: 4008,
  malformed: 4400,
  /** The credential was revoked: a logout, a disabled account, a revoked token or key. */
  unauthenticated: 4401,
  /** The token has expired. A client that holds a newer one should reconnect. */
  expired: 4401,
  forbidden: 4403,
  notFound: 4404,
  rate: 4429,
  /** The client did not authenticate in time. */
  idle: 4401,
} as const;

export type CloseReason = keyof typeof CLOSE;

const TRANSPORTS = ["websocket", "pulse", "tasks", "sse", "socketio", "pusher", "ntfy", "gotify"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Who may follow which stream: checked when subscribing and whenever rights change. */
export interface RealtimeAccess {
  check(principal: Principal, stream: StreamRef): "allowed" | "forbidden" | "notFound";
  /** The current principal; null when its credential or account has ended. */
  refresh(principal: Principal): Principal | null;
}

export interface Connection {
  readonly transport: Transport;
  readonly address: string;
  /** Null: not authenticated, or not yet. {@link Connections.identify} sets it. */
  readonly principal: Principal | null;
  /** It only observes: it does not make its user present. */
  readonly isObserver?: boolean;
  /** Called twice a second: sends pings and closes silent, slow or expired connections. */
  tick(now: EpochMs): void;
  /** @param principal null: its credential or account has ended */
  rightsChanged(principal: Principal | null): void;
  /** The server is stopping. */
  restart(): void;
}

interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxPerUser: number;
  /** Limit of a user with all their API keys. */
  readonly maxPerCreator: number;
  readonly maxPerIp: number;
  readonly maxPendingPerIp: number;
}

interface ConnectionsParts {
  readonly limits: ConnectionLimits;
  readonly presence: Presence;
  readonly access: Pick<RealtimeAccess, "refresh">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Time limit for a pending connection to authenticate or subscribe. */
export const PENDING_LIMIT_MS = 10_000;
/** Longest message of a connection that has not authenticated. */
export const MAX_PENDING_MESSAGE_BYTES = 4096;
/**
 * Connections are checked one slot at a time, so that 100 000 of them never block the event loop.
 */
const SLOTS = 10;
const SLOT_EVERY_MS = 50;
/**
 * Connections whose rights are re-read in one turn of the event loop: each may need a database
 * read.
 */
const RECHECKS_PER_TURN = 100;
const WARN_EVERY_MS = 60_000;
/** Connections are closed in this many batches while the server drains. */
const DRAIN_PARTS = 10;

/** How a connection is registered. */
interface Registration {
  readonly slot: number;
  isPending: boolean;
  /** Key of the principal, and the user whose presence it counts for; null: not authenticated. */
  owner: string | null;
  /** The person who made the API key. */
  creator: string | null;
  userId: string | null;
}

/**
 * All live connections: limits, one timer for all, changes of rights, and the drain on shutdown.
 */
export class Connections {
  readonly #parts: ConnectionsParts;
  readonly #slots: readonly Set<Connection>[] = Array.from({ length: SLOTS }, () => new Set<Connection>());
  readonly #entries = new Map<Connection, Registration>();
  /** By the principal's key. */
  readonly #byPrincipal: MultiMap<Connection> = new Map();
  /** Connections of the API keys of a person. */
  readonly #byCreator = new Map<string, number>();
  readonly #byAddress = new Map<string, number>();
  readonly #pendingByAddress = new Map<string, number>();
  readonly #counts: Record<Transport, number> = {
    websocket: 0,
    pulse: 0,
    tasks: 0,
    sse: 0,
    socketio: 0,
    pusher: 0,
    ntfy: 0,
    gotify: 0,
  };
  /** Null while there is no connection, and no change to compare with one that is being opened. */
  #timer: NodeJS.Timeout | null = null;
  #isDraining = false;
  #added = 0;
  #turn = 0;
  /** Changes of rights of one caller, applied at the next tick. */
  #changes: RightsChange[] = [];
  /** Changes that affect many callers: each tick compares one slot of connections. */
  #scanned: RightsChange[] = [];
  #slotsToScan = 0;
  #scanTurn = 0;
  /** Connections whose rights must be re-read. */
  readonly #stale = new Set<Connection>();
  #isRechecking = false;
  #slowClosed = 0;
  #warnedAt: number | null = null;

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
  }

  /**
   * Call before the upgrade.
   * @param principal null when the protocol authenticates later.
   * @throws OVERLOADED, RATE_LIMITED when there is no room for one more.
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

  /**
   * A connection without a principal is pending until {@link identify} or {@link markAnonymous}.
   */
  add(connection: Connection): void {
    const slot = this.#added++ % SLOTS;
    const entry: Registration = { slot, isPending: false, owner: null, creator: null, userId: null };
    this.#entries.set(connection, entry);
    this.#slots[slot]?.add(connection);
    this.#startTicks();
    this.#counts[connection.transport]++;
    add(this.#byAddress, addressGroup(connection.address), 1);
    if (connection.principal) this.#assign(connection, entry, connection.principal);
    else this.#setPending(connection, entry, true);
    this.#trace(connection, "live connection opened");
  }

  /**
   * Registers the connection under its authenticated caller. Call it before `principal` changes;
   * repeating it has no effect.
   * @throws RATE_LIMITED when the caller has too many connections; this one stays unchanged.
   */
  identify(connection: Connection, principal: Principal): void {
    const entry = this.#entries.get(connection);
    if (!entry || entry.owner === principal.key) return;
    this.#requireRoomOf(principal);
    this.#unassign(connection, entry);
    this.#setPending(connection, entry, false);
    this.#assign(connection, entry, principal);
  }

  /** The connection follows only public channels and need not authenticate. */
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
    this.#unassign(connection, entry);
    this.#stale.delete(connection);
    this.#trace(connection, "live connection closed");
  }

  #trace({ transport, principal }: Connection, message: string): void {
    const { log } = this.#parts;
    if (log.isDebug()) log.debug({ transport, caller: principal?.key ?? null, open: this.#entries.size }, message);
  }

  get counts(): Readonly<Record<Transport, number>> {
    return this.#counts;
  }

  /** Connections closed so far because their client did not read. */
  get slowClosed(): number {
    return this.#slowClosed;
  }

  noteSlow(): void {
    this.#slowClosed++;
  }

  /**
   * Re-reads the rights of affected connections: of one caller at the next tick, of a role's or
   * project's users within half a second, or later with tens of thousands.
   */
  noteRightsChanged(change: RightsChange): void {
    if (callerOf(change) !== null) this.#changes.push(change);
    else {
      this.#scanned.push(change);
      this.#slotsToScan = SLOTS;
    }
    this.#startTicks();
  }

  /**
   * Closes all connections, spread over `limitMs`, so that their clients do not reconnect at once.
   */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    this.#stopTicks();
    const all = [...this.#entries.keys()];
    const perPart = Math.ceil(all.length / DRAIN_PARTS);
    for (let from = 0; from < all.length; from += perPart) {
      for (const connection of all.slice(from, from + perPart)) connection.restart();
      if (from + perPart < all.length) await new Promise((resolve) => setTimeout(resolve, limitMs / DRAIN_PARTS));
    }
  }

  #startTicks(): void {
    if (!this.#isDraining) this.#timer ??= setInterval(() => this.#tick(), SLOT_EVERY_MS).unref();
  }

  #stopTicks(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
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
    if (this.#entries.size === 0 && this.#slotsToScan === 0 && this.#changes.length === 0) this.#stopTicks();
  }

  #findStale(): void {
    for (const change of this.#changes.splice(0))
      for (const connection of valuesOf(this.#byPrincipal, callerOf(change) ?? ""))
        if (connection.principal && concerns(change, connection.principal)) this.#stale.add(connection);
    if (this.#slotsToScan === 0) return;
    const slot = this.#slots[this.#scanTurn++ % SLOTS] as Set<Connection>;
    for (const connection of slot) {
      const { principal } = connection;
      if (principal && this.#scanned.some((change) => concerns(change, principal))) this.#stale.add(connection);
    }
    if (--this.#slotsToScan === 0) this.#scanned = [];
  }

  /** Continues in the next turn of the event loop if any are left. */
  #recheck(): void {
    const { access, log } = this.#parts;
    let left = RECHECKS_PER_TURN;
    for (const connection of this.#stale) {
      if (left-- === 0) break;
      this.#stale.delete(connection);
      try {
        if (connection.principal) connection.rightsChanged(access.refresh(connection.principal));
      } catch (error) {
        log.error({ err: error }, "cannot read the rights of a live connection; retrying");
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
      `refusing live connections of one address (${setting}); if it is a proxy, add it to trustedProxies`,
    );
  }

  /** @throws RATE_LIMITED */
  #requireRoomOf(principal: Principal): void {
    if (principal.kind === "operator") return;
    const { maxPerUser, maxPerCreator } = this.#parts.limits;
    const person = personKey(principal);
    const ofPerson = countOf(this.#byPrincipal, person) + (this.#byCreator.get(person) ?? 0);
    const isFull = countOf(this.#byPrincipal, principal.key) >= maxPerUser;
    if (isFull || ofPerson >= Math.max(maxPerUser, maxPerCreator)) throw tooMany();
  }

  #assign(connection: Connection, entry: Registration, principal: Principal): void {
    entry.owner = principal.key;
    addTo(this.#byPrincipal, principal.key, connection);
    const person = personKey(principal);
    if (person !== principal.key) {
      entry.creator = person;
      add(this.#byCreator, person, 1);
    }
    if (principal.kind === "apiKey" || principal.userId === null || connection.isObserver) return;
    entry.userId = principal.userId;
    this.#parts.presence.joined(principal.userId);
  }

  #unassign(connection: Connection, entry: Registration): void {
    if (entry.owner !== null) removeFrom(this.#byPrincipal, entry.owner, connection);
    if (entry.creator !== null) add(this.#byCreator, entry.creator, -1);
    if (entry.userId !== null) this.#parts.presence.left(entry.userId);
    entry.creator = null;
    entry.owner = null;
    entry.userId = null;
  }

  #setPending(connection: Connection, entry: Registration, isPending: boolean): void {
    if (entry.isPending === isPending) return;
    entry.isPending = isPending;
    add(this.#pendingByAddress, addressGroup(connection.address), isPending ? 1 : -1);
  }
}

function tooMany(): PrismError {
  return new PrismError("RATE_LIMITED", "Too many live connections of one caller", { retryAfterMs: 10_000 });
}

/** Key of the only affected principal; null when several may be affected. */
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
    case "all":
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
      // A key has rights of the user who made it.
      return principal.kind === "apiKey" ? principal.createdBy !== null : principal.roleIds.has(change.roleId);
    case "project":
      if (principal.kind === "apiKey") return principal.projectId === change.projectId;
      return principal.memberships.has(change.projectId) || principal.permissions.has("projects:all");
    case "all":
      return true;
    default:
      return assertNever(change);
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
