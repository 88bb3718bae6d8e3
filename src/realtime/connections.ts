import type { EpochMs } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import type { Principal } from "../base/principal.ts";
import { addressGroup } from "../http/client-address.ts";
import type { Presence } from "./presence.ts";
import type { StreamRef } from "./stream.ts";

export const TRANSPORTS = ["websocket", "pulse", "sse"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Who may follow what, asked at subscribing and again whenever rights change. */
export interface RealtimeAccess {
  maySubscribe(principal: Principal, stream: StreamRef): boolean;
  /** The principal as it is now; null when its credential or account has ended. */
  refresh(principal: Principal): Principal | null;
}

/** A live connection of any protocol, as the registry sees it. */
export interface Connection {
  readonly transport: Transport;
  readonly address: string;
  readonly principal: Principal;
  /** Called about every {@link TICK_MS}: pings, closes what has been silent, slow or expired. */
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
}

const TICK_MS = 1000;
/** Connections told to go at a time while the server drains. */
const DRAIN_SLICES = 10;

/** All live connections: limits, the one timer for all of them, changes of rights, and the drain. */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #presence: Presence;
  readonly #access: RealtimeAccess;
  readonly #open = new Set<Connection>();
  readonly #byPrincipal = new Map<string, number>();
  readonly #byAddress = new Map<string, number>();
  readonly #counts: Record<Transport, number> = { websocket: 0, pulse: 0, sse: 0 };
  readonly #timer: NodeJS.Timeout;
  #rightsChanged = false;

  constructor(limits: ConnectionLimits, presence: Presence, access: RealtimeAccess) {
    this.#limits = limits;
    this.#presence = presence;
    this.#access = access;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** @throws OVERLOADED, RATE_LIMITED when one more would be too many. To be asked before the upgrade. */
  requireRoom(principal: Principal, address: string): void {
    if (this.#open.size >= this.#limits.maxConnections) {
      throw new PrismError("OVERLOADED", "Too many live connections", { retryAfterMs: 5000 });
    }
    const ofPrincipal = this.#byPrincipal.get(principal.key) ?? 0;
    const ofAddress = this.#byAddress.get(addressGroup(address)) ?? 0;
    if (ofPrincipal >= this.#limits.maxPerUser || ofAddress >= this.#limits.maxPerIp) {
      throw new PrismError("RATE_LIMITED", "Too many live connections of one caller", { retryAfterMs: 10_000 });
    }
  }

  add(connection: Connection): void {
    this.#open.add(connection);
    this.#count(connection, 1);
    if (connection.principal.kind !== "apiKey") this.#presence.joined(connection.principal.userId);
  }

  delete(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    this.#count(connection, -1);
    if (connection.principal.kind !== "apiKey") this.#presence.left(connection.principal.userId);
  }

  get counts(): Readonly<Record<Transport, number>> {
    return this.#counts;
  }

  /** Roles, members, keys or accounts have changed somewhere: every connection is looked at within a second. */
  noteRightsChanged(): void {
    this.#rightsChanged = true;
  }

  /** Tells all connections to go, spread over the time, so that their clients do not come back at once. */
  async drain(limitMs: number): Promise<void> {
    clearInterval(this.#timer);
    const all = [...this.#open];
    const perSlice = Math.ceil(all.length / DRAIN_SLICES);
    for (let from = 0; from < all.length; from += perSlice) {
      for (const connection of all.slice(from, from + perSlice)) connection.restart();
      if (from + perSlice < all.length) await new Promise((resolve) => setTimeout(resolve, limitMs / DRAIN_SLICES));
    }
  }

  #tick(): void {
    const now = Date.now();
    const recheck = this.#rightsChanged;
    this.#rightsChanged = false;
    for (const connection of [...this.#open]) {
      if (recheck) connection.rightsChanged(this.#access.refresh(connection.principal));
      connection.tick(now);
    }
  }

  #count(connection: Connection, by: 1 | -1): void {
    this.#counts[connection.transport] += by;
    add(this.#byPrincipal, connection.principal.key, by);
    add(this.#byAddress, addressGroup(connection.address), by);
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
