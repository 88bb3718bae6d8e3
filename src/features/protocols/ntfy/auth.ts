import { hashToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Principal } from "../../../core/principal.ts";
import type { RateLimiter } from "../../../http/limits/rate-limiter.ts";
import { CHECK_ROWS } from "../../../http/limits/request-work.ts";
import { addressGroup, coarseAddressGroup } from "../../../http/server/client-address.ts";
import { type Authenticator, type Basic, fromSecret, readBasic } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Uses } from "../../../module/feature.ts";
import { KnownPasswords, type PasswordOwner, type Principals } from "../../access/index.ts";
import { NtfyError } from "./errors.ts";
import { queryOf } from "./parameters.ts";

/** Who made a request; `principal` is null for an anonymous one. */
export interface Visitor {
  readonly principal: Principal | null;
  /** How the principal is known, to notice when it ends; null: by Prism's own credentials. */
  readonly proof: PasswordOwner | { readonly tokenHash: string } | null;
}

export const ANONYMOUS: Visitor = { principal: null, proof: null };

export interface NtfyAuthParts extends Uses<"reader" | "clock"> {
  readonly authenticator: Authenticator;
  readonly principals: Pick<Principals, "ofUser">;
  /** @throws INVALID_CREDENTIALS, RATE_LIMITED, … */
  readonly passwordOwner: (login: string, password: string, ip: string) => Promise<PasswordOwner>;
  readonly limiter: RateLimiter;
  /** Whether failures are counted. */
  limits(): boolean;
}

interface TokenRow {
  readonly userId: string;
  readonly expiresAt: number | null;
}

/** Failures of one address with tokens; one more is allowed each two seconds. */
const FAILURES_PER_MINUTE = 30;
const PASSWORD_MS = 86_400_000;
const MAX_LENGTH = 8192;

/**
 * Credentials of ntfy's clients: `Basic` with a password or a token, `Bearer`, and `?auth=` with
 * the base64 of such a header. Tokens are those of `/v1/account/token` (`tk_…`) and all of Prism's.
 */
export class NtfyAuth {
  readonly #parts: NtfyAuthParts;
  readonly #passwords: KnownPasswords;
  readonly #used = new Map<string, { readonly at: number; readonly origin: string }>();
  readonly #sql;

  constructor(parts: NtfyAuthParts) {
    this.#parts = parts;
    this.#passwords = new KnownPasswords(parts, PASSWORD_MS);
    this.#sql = {
      token: parts.reader.prepare<[string], TokenRow>("select userId, expiresAt from ntfy_tokens where hash = ?"),
    };
  }

  /**
   * @returns a promise only if a password, or an access token, must be checked.
   * @throws NtfyError 40101 for wrong credentials, 42909 after too many
   */
  visitor(exchange: Exchange): Visitor | Promise<Visitor> {
    const value = authorizationOf(exchange);
    const key = value === "" ? exchange.header("x-api-key") : "";
    if (key !== "") return this.#checked(key, exchange);
    if (value === "") return ANONYMOUS;
    const given = readAuthorization(value);
    if (given === null) return ANONYMOUS;
    if ("token" in given) return this.#checked(given.token, exchange);
    return this.#byPassword(given.login, given.password, exchange);
  }

  /** Whether the proof of a connection is still good. */
  isCurrent({ proof }: Visitor): boolean {
    if (proof === null) return true;
    if ("tokenHash" in proof) return this.#liveToken(proof.tokenHash) !== undefined;
    return this.#passwords.isUnchanged(proof);
  }

  /** Tokens used since the last call. */
  takeUsed(): [string, { readonly at: number; readonly origin: string }][] {
    const used = [...this.#used];
    this.#used.clear();
    return used;
  }

  #checked(token: string, exchange: Exchange): Visitor | Promise<Visitor> {
    const find = (): Visitor => this.#guarded(exchange, () => this.#byToken(token, exchange));
    const check = token.startsWith("tk_") ? null : this.#parts.authenticator.prepare?.(fromSecret(token));
    if (!check) return find();
    if (check.isCharged) exchange.work?.beforeCheck(exchange, { bytes: token.length, rows: CHECK_ROWS });
    return check.run().then(find);
  }

  /** Counts failures of an address, whatever it guesses. */
  #guarded(exchange: Exchange, check: () => Visitor): Visitor {
    try {
      return check();
    } catch (error) {
      this.#failed(exchange.clientAddress);
      if (error instanceof PrismError) throw new NtfyError(40101);
      throw error;
    }
  }

  /** @throws NtfyError 42909 */
  #failed(address: string): void {
    if (!this.#parts.limits()) return;
    const bucket = this.#parts.limiter.take(
      `ntfy ${addressGroup(address)}`,
      FAILURES_PER_MINUTE,
      1,
      `ntfy ${coarseAddressGroup(address)}`,
    );
    if (!bucket.isAllowed) throw new NtfyError(42909);
  }

  #byToken(token: string, exchange: Exchange): Visitor {
    if (!token.startsWith("tk_"))
      return { principal: this.#parts.authenticator.authenticate(fromSecret(token)), proof: null };
    const tokenHash = hashToken(token);
    const row = this.#liveToken(tokenHash);
    if (!row) throw new NtfyError(40101);
    this.#used.set(tokenHash, { at: this.#parts.clock.now(), origin: exchange.clientAddress });
    return { principal: this.#parts.principals.ofUser(row.userId), proof: { tokenHash } };
  }

  #liveToken(hash: string): TokenRow | undefined {
    const row = this.#sql.token.get(hash);
    return row && (row.expiresAt === null || row.expiresAt > this.#parts.clock.now()) ? row : undefined;
  }

  #byPassword(login: string, password: string, exchange: Exchange): Visitor | Promise<Visitor> {
    const known = this.#passwords.get(login, password);
    if (known) return this.#guarded(exchange, () => this.#ofOwner(known));
    exchange.work?.beforeCheck(exchange, { rows: CHECK_ROWS });
    return this.#parts.passwordOwner(login, password, exchange.clientAddress).then(
      (owner) => {
        this.#passwords.add(login, password, owner);
        return this.#ofOwner(owner);
      },
      (error: unknown) => {
        throw refusalOf(error);
      },
    );
  }

  #ofOwner(owner: PasswordOwner): Visitor {
    return { principal: this.#parts.principals.ofUser(owner.userId), proof: owner };
  }
}

function refusalOf(error: unknown): unknown {
  if (!(error instanceof PrismError)) return error;
  if (error.code === "RATE_LIMITED") return new NtfyError(42909);
  return error.code === "INVALID_CREDENTIALS" || error.code === "VALIDATION_FAILED" ? new NtfyError(40101) : error;
}

/** `?auth=` beats the header. @throws NtfyError 40101 if it cannot be decoded */
function authorizationOf(exchange: Exchange): string {
  const query = exchange.queryText.includes("auth") ? queryOf(exchange.queryText) : NO_QUERY;
  const given = query.get("authorization") ?? query.get("auth") ?? "";
  if (given === "") return exchange.header("authorization");
  if (!/^[A-Za-z0-9+/_-]{1,11000}={0,2}$/.test(given)) throw new NtfyError(40101);
  return Buffer.from(given, "base64url").toString("utf8");
}

const NO_QUERY: ReadonlyMap<string, string> = new Map();

type Given = { readonly token: string } | Basic;

/** @returns null for another scheme, such as WebPush. @throws NtfyError 40101 */
function readAuthorization(value: string): Given | null {
  const [, scheme = "", rest = ""] = /^(\w+)\s+(\S+)\s*$/.exec(value.trim()) ?? [];
  if (rest.length > MAX_LENGTH) throw new NtfyError(40101);
  if (scheme.toLowerCase() === "bearer") return { token: rest };
  if (scheme.toLowerCase() !== "basic") return null;
  const basic = readBasic(rest);
  if (!basic) throw new NtfyError(40101);
  return basic.login === "" || /^(?:tk|prk|prt)_/.test(basic.password) ? { token: basic.password } : basic;
}
