import { randomBytes } from "node:crypto";
import type { Clock, EpochMs } from "../../core/clock.ts";
import type { Principal } from "../../core/principal.ts";
import { hashToken } from "../../core/tokens.ts";
import { TtlCache } from "../../core/ttl-cache.ts";

const LIFE_MS = 60_000;
const MAX_TICKETS = 100_000;
const TICKET_BYTES = 32;

/**
 * Tickets stand in for a credential in the URL of a live connection, where browsers let nothing else stand (D38, contract 5.1): one is good once,
 * for a minute, for what the credential allows that it was got with. Held in memory as SHA-256; a restart voids them. When there are too
 * many the oldest go.
 */
export class RealtimeTickets {
  readonly #tickets: TtlCache<string, Principal>;
  readonly #clock: Clock;

  constructor(clock: Clock, maxTickets = MAX_TICKETS) {
    this.#clock = clock;
    this.#tickets = new TtlCache({ maxEntries: maxTickets, ttlMs: LIFE_MS, clock });
  }

  /** @param stream the only one that may be followed with it; absent: every stream that the principal may follow. */
  issue(principal: Principal, stream?: string): { readonly ticket: string; readonly expiresAt: EpochMs } {
    const ticket = randomBytes(TICKET_BYTES).toString("base64url");
    const expiresAt = Math.min(this.#clock.now() + LIFE_MS, principal.expiresAt);
    const bound = stream === undefined ? principal : { ...principal, onlyStream: stream };
    this.#tickets.set(hashToken(ticket), bound, expiresAt);
    return { ticket, expiresAt };
  }

  /** Spends a ticket. @returns who got it, as they were then; undefined when it is unknown, spent, or too old. */
  redeem(ticket: string): Principal | undefined {
    const hash = hashToken(ticket);
    const principal = this.#tickets.get(hash);
    this.#tickets.delete(hash);
    return principal;
  }
}
