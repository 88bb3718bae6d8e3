import { createHash, hkdfSync } from "node:crypto";
import type { Database as Sqlite } from "better-sqlite3";
import type { Principal } from "../../core/caller.ts";
import { SealedBox } from "../../core/crypto/sealed-box.ts";
import { PrismError } from "../../core/errors.ts";
import { ENDS_LEADER } from "../../core/text/vocabulary.ts";
import { type Clock, DAY_MS, MINUTE_MS } from "../../core/time/clock.ts";
import type { IdempotencyRow } from "../../store/commit/write-set.ts";
import { type Database, runLater, type Trx, type WriteOptions, withEachWrite } from "../../store/database.ts";
import { type BodyFingerprint, bodyFingerprint } from "../../store/sealed-settings.ts";
import type { Exchange } from "../server/exchange.ts";
import { ANSWERS_LATER, type Input, RawJson, Reply, type Route } from "./route.ts";

/** Errors of routes that store their answers in the transaction of their effect ({@link Idempotency.run}). */
export const IDEMPOTENCY_ERRORS = ["IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED"] as const;

const KEPT_MS = DAY_MS;
/** Of routes that store the answer after the effect: long enough for a take-over. */
const KEPT_BRIEFLY_MS = 10 * MINUTE_MS;
const MAX_RESPONSE_BYTES = 16_384;

/** No JSON begins so. */
const SEALED_PREFIX = "sealed ";

interface SecretAnswer {
  /** The answer is stored sealed. */
  readonly hasSecrets?: boolean;
}

interface StoredRow {
  readonly fingerprint: string;
  readonly status: number | null;
  readonly response: string | null;
  readonly expiresAt: number;
}

/** A request with an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header). */
export interface IdempotentRequest {
  readonly scope: string;
  readonly key: string;
  readonly fingerprint: string;
  /** For a batch interrupted by a crash: the number of finished items. */
  readonly itemsDone: number;
  /** An earlier request with this key has stored something, and not its answer. */
  readonly hasBegun: boolean;
}

/**
 * Stores the answers to requests with an Idempotency-Key, in the transaction of their effect.
 * Running requests are tracked in memory only.
 */
export class Idempotency {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #secretAnswers: SealedBox;
  readonly #fingerprintOf: BodyFingerprint;
  readonly #stored;
  readonly #running = new Set<string>();

  constructor(database: Database, reader: Sqlite, clock: Clock, auditKey: Uint8Array) {
    this.#database = database;
    this.#clock = clock;
    this.#fingerprintOf = bodyFingerprint(auditKey);
    // Answers are kept for a day and need no rotation of their own.
    this.#secretAnswers = new SealedBox([Buffer.from(hkdfSync("sha256", auditKey, "", "prism secret answers", 32))]);
    this.#stored = reader.prepare<[string, string], StoredRow>(
      "select fingerprint, status, response, expiresAt from idempotency_keys where scope = ? and key = ?",
    );
  }

  /**
   * Starts a request. @returns null without a key; the first answer for a repetition; otherwise an
   * object to {@link end}.
   * @throws VALIDATION_FAILED for a malformed key, IDEMPOTENCY_IN_PROGRESS, IDEMPOTENCY_KEY_REUSED
   */
  begin<T>(
    exchange: Exchange,
    principal: Principal,
    body: string | Uint8Array,
    rights = "",
  ): IdempotentRequest | Reply<T> | null {
    const header = exchange.header("idempotency-key");
    if (header === "") return null;
    const key = header.replace(/^"(.*)"$/, "$1");
    if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw new PrismError("VALIDATION_FAILED", "Idempotency-Key must be 1 to 255 visible ASCII characters");
    }
    const scope = `${principal.key}${rights} ${exchange.mount?.route.method} ${exchange.mount?.route.path}`;
    const fingerprint = this.#fingerprintOf(body);
    const stored = this.#find(scope, key);
    if (stored && stored.fingerprint !== fingerprint) {
      throw new PrismError("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used with another body");
    }
    if (stored && stored.status !== null) {
      const headers = { "Idempotency-Replayed": "true" };
      const response = this.#opened(`${scope} ${key}`, stored.response);
      const answer: unknown = response === null ? undefined : JSON.parse(response);
      const body = rights === "" ? answer : bodyFor(principal, answer as KeptAnswer);
      return new Reply(stored.status, body as T, headers);
    }
    if (this.#running.has(`${scope} ${key}`)) {
      throw new PrismError("IDEMPOTENCY_IN_PROGRESS", "A request with this Idempotency-Key is still running");
    }
    this.#running.add(`${scope} ${key}`);
    return { scope, key, fingerprint, itemsDone: Number(stored?.response ?? 0), hasBegun: stored !== undefined };
  }

  /** Ignores an expired row and its finished items, which may belong to another batch. */
  #find(scope: string, key: string): StoredRow | undefined {
    const stored = this.#stored.get(scope, key);
    return stored && stored.expiresAt > this.#clock.now() ? stored : undefined;
  }

  #sealed(row: IdempotencyRow): IdempotencyRow {
    if (row.response === null) return row;
    const sealed = this.#secretAnswers.seal(`${row.scope} ${row.key}`, Buffer.from(row.response));
    return { ...row, response: SEALED_PREFIX + sealed.toString("base64") };
  }

  #opened(place: string, response: string | null): string | null {
    if (!response?.startsWith(SEALED_PREFIX)) return response;
    const sealed = Buffer.from(response.slice(SEALED_PREFIX.length), "base64");
    return this.#secretAnswers.open(place, sealed).toString();
  }

  /** The request has ended, with any result. */
  end(request: IdempotentRequest): void {
    this.#running.delete(`${request.scope} ${request.key}`);
  }

  /** The row to store with the effect. A large answer is stored without its `results`. */
  row(request: IdempotentRequest, status: number | null, response: string | null): IdempotencyRow {
    const now = this.#clock.now();
    const { scope, key, fingerprint } = request;
    const isLarge = response !== null && Buffer.byteLength(response) > MAX_RESPONSE_BYTES;
    const kept = isLarge ? withoutResults(response) : response;
    return { scope, key, fingerprint, status, response: kept, createdAt: now, expiresAt: now + KEPT_MS };
  }

  store(trx: Trx, row: IdempotencyRow): void {
    const { scope: _scope, key: _key, ...changes } = row;
    const insert = trx
      .insertInto("idempotency_keys")
      .values(row)
      .onConflict((conflict) => conflict.columns(["scope", "key"]).doUpdateSet(changes));
    runLater(trx, insert.compile());
  }

  /**
   * Runs a request whose effect is one transaction, which may share its commit, and stores the
   * answer in it. 5xx and 429 are thrown and not stored.
   */
  async run<T>(
    exchange: Exchange,
    principal: Principal,
    body: unknown,
    effect: (trx: Trx) => Promise<Reply<T>>,
    { hasSecrets = false, ...options }: WriteOptions & SecretAnswer = { sharesCommit: true },
  ): Promise<Reply<T>> {
    const request = this.begin<T>(exchange, principal, JSON.stringify(body));
    if (request instanceof Reply) return request;
    try {
      return await this.#database.write(async (trx) => {
        const reply = await effect(trx);
        if (request) {
          const row = this.row(request, reply.status, JSON.stringify(reply.body));
          this.store(trx, hasSecrets ? this.#sealed(row) : row);
        }
        return reply;
      }, options);
    } finally {
      if (request) this.end(request);
    }
  }

  /**
   * Runs a request with work before its transaction, in which `effect` stores what a repetition is answered, sealed:
   * the parts of the answer that nothing else has. A request that stores nothing runs again.
   */
  async runPrepared<T>(
    exchange: Exchange,
    principal: Principal,
    body: unknown,
    effect: (keep: (trx: Trx, answer: T) => void) => Promise<T>,
  ): Promise<T | Reply<T>> {
    const request = this.begin<T>(exchange, principal, JSON.stringify(body), ` ${rightsOf(principal)}`);
    if (request instanceof Reply) return request;
    try {
      return await effect((trx, answer) => {
        if (!request) return;
        const kept: KeptAnswer = { memberships: membershipsOf(principal), body: answer };
        this.store(trx, this.#sealed(this.row(request, 200, JSON.stringify(kept))));
      });
    } finally {
      if (request) this.end(request);
    }
  }

  /**
   * Runs the handler of a route. With a key that the route does not heed itself, its first transaction also
   * stores that it ran, a second one the answer. A repetition is refused as long as only the first is stored.
   */
  runOnce(exchange: Exchange, route: Route, input: Input<unknown, unknown, unknown>): unknown {
    const { principal } = exchange;
    const handle = (): unknown => route.handle(exchange, input);
    if (!principal || exchange.header("idempotency-key") === "" || !isRunOnce(route)) return handle();
    const request = this.begin(exchange, principal, textOf(input), ` ${rightsOf(principal)}`);
    if (request === null || request instanceof Reply) return request;
    return this.#keepAnswer(request, principal, route, handle);
  }

  async #keepAnswer(
    request: IdempotentRequest,
    principal: Principal,
    route: Route,
    handle: () => unknown,
  ): Promise<unknown> {
    let isStored = false;
    const rowOf = (status: number | null, response: string | null): IdempotencyRow => ({
      ...this.row(request, status, response),
      expiresAt: this.#clock.now() + KEPT_BRIEFLY_MS,
    });
    const storeBegun = (trx: Trx): void => {
      this.store(trx, rowOf(null, null));
      isStored = true;
    };
    try {
      if (request.hasBegun) throw new PrismError("INVALID_STATE", ANSWER_LOST);
      const value = await withEachWrite(storeBegun, async () => handle());
      if (isStored && value !== ANSWERS_LATER) {
        const { status, body } = value instanceof Reply ? value : answerOf(route, value);
        const kept: KeptAnswer = { memberships: membershipsOf(principal), body: jsonOf(body) };
        const text = JSON.stringify(kept);
        // The effect is stored: its client gets the answer, even if a repetition cannot, as of a large one.
        if (Buffer.byteLength(text) <= MAX_RESPONSE_BYTES)
          await this.#database
            .write(async (trx) => this.store(trx, this.#sealed(rowOf(status, text))))
            .catch(() => undefined);
      }
      return value;
    } finally {
      this.end(request);
    }
  }
}

const ANSWER_LOST = "A request with this Idempotency-Key was begun, and its answer is not known; read what is stored";

/** Whether a route takes the key without storing its answers itself: any change by a caller with credentials. */
export function isRunOnce(route: Route): boolean {
  const { method, access, errors = [], path, quiet, withoutContext } = route;
  if (method === "GET" || access === "public" || quiet || withoutContext || ENDS_LEADER.includes(path)) return false;
  // Their answers are sessions.
  if (path.startsWith("/api/v1/auth/")) return false;
  return access.signer === undefined && !errors.includes("IDEMPOTENCY_KEY_REUSED");
}

/** What is kept of an answer whose route checks rights in projects itself. */
interface KeptAnswer {
  readonly memberships: readonly (readonly [projectId: string, role: string])[];
  readonly body: unknown;
}

function membershipsOf(principal: Principal): KeptAnswer["memberships"] {
  return principal.kind === "apiKey" ? [] : [...principal.memberships];
}

/** @throws INVALID_STATE for who has lost a role since: the answer may be of that project */
function bodyFor(principal: Principal, { memberships, body }: KeptAnswer): unknown {
  const now = new Map(membershipsOf(principal));
  if (memberships.some(([projectId, role]) => now.get(projectId) !== role))
    throw new PrismError("INVALID_STATE", "Your rights have changed since the request with this Idempotency-Key");
  return body;
}

/** A token of fewer rights, and who has fewer now, gets no earlier answer. */
function rightsOf(principal: Principal): string {
  const scopes = principal.kind === "apiKey" ? principal.scopes : principal.tokenScopes;
  const permissions = principal.kind === "apiKey" ? [] : [...principal.permissions].sort();
  const rights = JSON.stringify([permissions, scopes && [...scopes].sort()]);
  return createHash("sha256").update(rights).digest("base64url").slice(0, 22);
}

/** All that a key is for. Bytes of an upload count by their hash. */
function textOf({ params, query, body }: Input<unknown, unknown, unknown>): string {
  const content = body instanceof Uint8Array ? createHash("sha256").update(body).digest("base64") : body;
  return JSON.stringify([params, query, content]);
}

/** The answer to a handler's plain value, as the kernel gives it. */
export function answerOf({ status = 200 }: Pick<Route, "status">, value: unknown): Reply<unknown> {
  return new Reply(value === undefined ? 204 : status, value);
}

function jsonOf(body: unknown): unknown {
  return body instanceof RawJson ? JSON.parse(body.text) : body;
}

function withoutResults(response: string): string {
  const answer: unknown = JSON.parse(response);
  if (typeof answer !== "object" || answer === null || !("results" in answer)) return response;
  const { results: _results, ...counts } = answer;
  return JSON.stringify(counts);
}
