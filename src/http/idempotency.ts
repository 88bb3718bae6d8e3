import type { Database as Sqlite } from "better-sqlite3";
import { type Clock, DAY_MS } from "../core/clock.ts";
import { PrismError } from "../core/errors.ts";
import type { Principal } from "../core/principal.ts";
import type { IdempotencyRow } from "../store/commit/write-set.ts";
import type { Database, Trx } from "../store/database.ts";
import { type BodyFingerprint, bodyFingerprint } from "../store/sealed-settings.ts";
import type { Exchange } from "./exchange.ts";
import { Reply } from "./route.ts";

/** What every route that takes an Idempotency-Key may answer. */
export const IDEMPOTENCY_ERRORS = ["IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED"] as const;

const KEPT_MS = DAY_MS;
const MAX_RESPONSE_BYTES = 16_384;

interface StoredRow {
  readonly fingerprint: string;
  readonly status: number | null;
  readonly response: string | null;
  readonly expiresAt: number;
}

/**
 * A request that may be repeated safely: `Idempotency-Key`
 * (draft-ietf-httpapi-idempotency-key-header; docs/http.md).
 */
export interface IdempotentRequest {
  readonly scope: string;
  readonly key: string;
  readonly fingerprint: string;
  /** Of a batch that a crash cut short: how many of its items were done. */
  readonly itemsDone: number;
}

/**
 * Remembers the answers to requests that carry an Idempotency-Key. That a request is under way is
 * known in memory only; its answer is stored in the transaction of its effect.
 */
export class Idempotency {
  readonly #clock: Clock;
  readonly #fingerprintOf: BodyFingerprint;
  readonly #stored;
  readonly #running = new Set<string>();

  constructor(reader: Sqlite, clock: Clock, auditKey: Uint8Array) {
    this.#clock = clock;
    this.#fingerprintOf = bodyFingerprint(auditKey);
    this.#stored = reader.prepare<[string, string], StoredRow>(
      "select fingerprint, status, response, expiresAt from idempotency_keys where scope = ? and key = ?",
    );
  }

  /**
   * Begins a request. @returns null when it carries no key; the first answer when it is a
   * repetition; else what to {@link end} later.
   * @throws VALIDATION_FAILED for a malformed key, IDEMPOTENCY_IN_PROGRESS, IDEMPOTENCY_KEY_REUSED
   */
  begin(exchange: Exchange, principal: Principal, body: string | Uint8Array): IdempotentRequest | Reply | null {
    const header = exchange.header("idempotency-key");
    if (header === "") return null;
    const key = header.replace(/^"(.*)"$/, "$1");
    if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw new PrismError("VALIDATION_FAILED", "Idempotency-Key must be 1 to 255 visible ASCII characters");
    }
    const scope = `${principal.key} ${exchange.mount?.route.method} ${exchange.mount?.route.path}`;
    const fingerprint = this.#fingerprintOf(body);
    const stored = this.#find(scope, key);
    if (stored && stored.fingerprint !== fingerprint) {
      throw new PrismError("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used with another body");
    }
    if (stored && stored.status !== null) {
      const headers = { "Idempotency-Replayed": "true" };
      return new Reply(stored.status, stored.response === null ? undefined : JSON.parse(stored.response), headers);
    }
    if (this.#running.has(`${scope} ${key}`)) {
      throw new PrismError("IDEMPOTENCY_IN_PROGRESS", "A request with this Idempotency-Key is under way");
    }
    this.#running.add(`${scope} ${key}`);
    return { scope, key, fingerprint, itemsDone: Number(stored?.response ?? 0) };
  }

  /**
   * A row whose time is over counts for nothing, the number of items done in it included: it may be
   * another batch's.
   */
  #find(scope: string, key: string): StoredRow | undefined {
    const stored = this.#stored.get(scope, key);
    return stored && stored.expiresAt > this.#clock.now() ? stored : undefined;
  }

  /** The request is over, whatever came of it. */
  end(request: IdempotentRequest): void {
    this.#running.delete(`${request.scope} ${request.key}`);
  }

  /**
   * The row to store with the effect. An answer that is too large is kept without its `results`.
   */
  row(request: IdempotentRequest, status: number | null, response: string | null): IdempotencyRow {
    const now = this.#clock.now();
    const { scope, key, fingerprint } = request;
    const isLarge = response !== null && Buffer.byteLength(response) > MAX_RESPONSE_BYTES;
    const kept = isLarge ? withoutResults(response) : response;
    return { scope, key, fingerprint, status, response: kept, createdAt: now, expiresAt: now + KEPT_MS };
  }

  async store(trx: Trx, row: IdempotencyRow): Promise<void> {
    const { scope: _scope, key: _key, ...changes } = row;
    await trx
      .insertInto("idempotency_keys")
      .values(row)
      .onConflict((conflict) => conflict.columns(["scope", "key"]).doUpdateSet(changes))
      .execute();
  }

  /**
   * Runs a request whose effect is one transaction, which may share its commit; the answer is
   * stored in it. 5xx and 429 are not kept: they are thrown.
   */
  async run(
    exchange: Exchange,
    principal: Principal,
    body: unknown,
    database: Database,
    effect: (trx: Trx) => Promise<Reply>,
  ): Promise<Reply> {
    const request = this.begin(exchange, principal, JSON.stringify(body));
    if (request instanceof Reply) return request;
    try {
      return await database.write(
        async (trx) => {
          const reply = await effect(trx);
          if (request) await this.store(trx, this.row(request, reply.status, JSON.stringify(reply.body)));
          return reply;
        },
        { sharesCommit: true },
      );
    } finally {
      if (request) this.end(request);
    }
  }
}

function withoutResults(response: string): string {
  const { results: _results, ...counts } = JSON.parse(response) as Record<string, unknown>;
  return JSON.stringify(counts);
}
