import type { Clock, EpochMs } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Principal } from "../base/principal.ts";
import { addressGroup } from "../http/client-address.ts";
import type { Presence } from "./presence.ts";
import type { StreamRef } from "./stream.ts";

export const TRANSPORTS = ["websocket", "pulse", "tasks", "sse"] as const;
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
  readonly principal: Principal;
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
}

export interface ConnectionsParts {
  readonly limits: ConnectionLimits;
  readonly presence: Presence;
  readonly access: RealtimeAccess;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The wheel: connections are looked at a slot at a time, so that a hundred thousand of them never hold the loop for long. */
const SLOTS = 10;
const SLOT_EVERY_MS = 50;
/** Connections are told to go in this many parts while the server drains. */
const DRAIN_PARTS = 10;

/** All live connections: limits, the one timer for all of them, changes of rights, and the drain. */
export class Connections {
  readonly #parts: ConnectionsParts;
  readonly #slots: readonly Set<Connection>[] = Array.from({ length: SLOTS }, () => new Set<Connection>());
  readonly #slotOf = new Map<Connection, number>();
  readonly #byPrincipal = new Map<string, number>();
  readonly #byAddress = new Map<string, number>();
  readonly #counts: Record<Transport, number> = { websocket: 0, pulse: 0, tasks: 0, sse: 0 };
  readonly #timer: NodeJS.Timeout;
  #added = 0;
  #turn = 0;
  /** Slots whose connections have yet to be asked whether they may still do what they do. */
  #slotsToRecheck = 0;
  #slowClosed = 0;

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#tick(), SLOT_EVERY_MS);
    this.#timer.unref();
  }

  /** @throws OVERLOADED, RATE_LIMITED when one more would be too many. To be asked before the upgrade. */
  requireRoom(principal: Principal, address: string): void {
    const { maxConnections, maxPerUser, maxPerIp } = this.#parts.limits;
    if (this.#slotOf.size >= maxConnections) {
      throw new PrismError("OVERLOADED", "Too many live connections", { retryAfterMs: 5000 });
    }
    const ofPrincipal = this.#byPrincipal.get(principal.key) ?? 0;
    const ofAddress = this.#byAddress.get(addressGroup(address)) ?? 0;
    if (ofPrincipal >= maxPerUser || ofAddress >= maxPerIp) {
      throw new PrismError("RATE_LIMITED", "Too many live connections of one caller", { retryAfterMs: 10_000 });
    }
  }

  add(connection: Connection): void {
    const slot = this.#added++ % SLOTS;
    this.#slotOf.set(connection, slot);
    this.#slots[slot]?.add(connection);
    this.#count(connection, 1);
    if (connection.principal.kind !== "apiKey") this.#parts.presence.joined(connection.principal.userId);
  }

  delete(connection: Connection): void {
    const slot = this.#slotOf.get(connection);
    if (slot === undefined) return;
    this.#slotOf.delete(connection);
    this.#slots[slot]?.delete(connection);
    this.#count(connection, -1);
    if (connection.principal.kind !== "apiKey") this.#parts.presence.left(connection.principal.userId);
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

  /** Roles, members, keys or accounts have changed somewhere: every connection is looked at within half a second. */
  noteRightsChanged(): void {
    this.#slotsToRecheck = SLOTS;
  }

  /** Tells all connections to go, spread over the time, so that their clients do not come back at once. */
  async drain(limitMs: number): Promise<void> {
    clearInterval(this.#timer);
    const all = [...this.#slotOf.keys()];
    const perPart = Math.ceil(all.length / DRAIN_PARTS);
    for (let from = 0; from < all.length; from += perPart) {
      for (const connection of all.slice(from, from + perPart)) connection.restart();
      if (from + perPart < all.length) await new Promise((resolve) => setTimeout(resolve, limitMs / DRAIN_PARTS));
    }
  }

  #tick(): void {
    const now = this.#parts.clock.now();
    const slot = this.#slots[this.#turn++ % SLOTS] as Set<Connection>;
    if (this.#slotsToRecheck > 0) {
      this.#slotsToRecheck--;
      this.#recheck(slot);
    }
    for (const connection of slot) connection.tick(now);
  }

  #recheck(slot: Set<Connection>): void {
    const { access, log } = this.#parts;
    try {
      for (const connection of slot) connection.rightsChanged(access.refresh(connection.principal));
    } catch (error) {
      log.error({ err: error }, "the rights of live connections could not be read; trying again");
      this.#slotsToRecheck = SLOTS;
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
