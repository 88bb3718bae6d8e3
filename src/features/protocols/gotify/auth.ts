import { randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import type { Principal, UserPrincipal } from "../../../core/caller.ts";
import { hashToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { CHECK_ROWS } from "../../../http/limits/request-work.ts";
import { hasTokenScope } from "../../../http/server/access.ts";
import { type Basic, MAX_SECRET_LENGTH, readBasic } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Context } from "../../../module/feature.ts";
import type { GotifyApplicationsTable, GotifyClientsTable } from "../../../store/schema.ts";
import { KnownPasswords, type PasswordOwner } from "../../access/index.ts";
import { asGotifyError, unauthenticated } from "./errors.ts";

export type ApplicationRow = Selectable<GotifyApplicationsTable>;
export type ClientRow = Selectable<GotifyClientsTable>;

/** Who made a request. */
export type GotifyVisitor = ApplicationVisitor | UserVisitor;

interface ApplicationVisitor {
  readonly kind: "application";
  readonly application: ApplicationRow;
  /** The owner. */
  readonly principal: UserPrincipal;
}

export interface UserVisitor {
  readonly kind: "user";
  readonly principal: UserPrincipal;
  /** Its token; null: by a password or a credential of Prism. */
  readonly client: { readonly row: ClientRow; readonly token: string } | null;
  readonly password: PasswordOwner | null;
}

export type GotifyAuthContext = Context<"principals" | "passwordOwner">;

const PASSWORD_MS = 3_600_000;
/** Uses of applications and clients are stored at most this often. */
export const USED_EVERY_MS = 300_000;

/** When a client ends if it is not used. */
export function expiryOf({ createdAt, lastUsedAt, expiresAfterS }: ClientRow): number {
  return (lastUsedAt ?? createdAt) + expiresAfterS * 1000;
}

/** Whether a client was not used for too long; later by the time in which uses are not stored. */
export function hasExpired(row: ClientRow, now: number): boolean {
  return row.expiresAfterS > 0 && now > expiryOf(row) + USED_EVERY_MS;
}

const TOKEN_CHARACTERS = 14;

/**
 * A token in the form of Gotify 2, which its clients check: `A` (application) or `C` (client) and 14
 * characters, 84 random bits.
 */
export function createGotifyToken(kind: "A" | "C"): string {
  return kind + randomBytes(TOKEN_CHARACTERS).toString("base64url").slice(0, TOKEN_CHARACTERS);
}

/**
 * Credentials of Gotify's clients: a token as `?token=`, `X-Gotify-Key` or `Bearer`, or Basic with
 * the password of an account. A login or a service token of Prism is accepted like the token of a client.
 */
export class GotifyAuth {
  readonly #parts: GotifyAuthContext;
  readonly #passwords: KnownPasswords;
  readonly #sql;

  constructor(parts: GotifyAuthContext) {
    this.#parts = parts;
    const { reader } = parts;
    this.#passwords = new KnownPasswords(parts, PASSWORD_MS);
    this.#sql = {
      application: reader.prepare<[string], ApplicationRow>("select * from gotify_applications where tokenHash = ?"),
      client: reader.prepare<[string], ClientRow>("select * from gotify_clients where tokenHash = ?"),
    };
  }

  /**
   * Finds the caller before the body is read, so that its bytes are counted as the caller's; a
   * password is checked later. The exchange keeps the visitor, or the check of a token that runs;
   * null: the token is wrong. @throws RATE_LIMITED for an address that sends wrong credentials.
   */
  readonly begin = (exchange: Exchange): void => {
    const visitor = this.#known(exchange);
    if (visitor) exchange.principal = visitor.principal;
    exchange.found = visitor ?? this.#checkOf(exchange);
    if (exchange.found === null && basicOf(exchange) === null) this.#parts.kernel.limitAddress(exchange);
  };

  /** Starts to verify an access token before {@link socketVisitor}; null if the caller is known. @throws WORK_LIMITED */
  readonly check = (exchange: Exchange): Promise<void> | null =>
    this.#known(exchange) ? null : this.#checkOf(exchange);

  #checkOf(exchange: Exchange): Promise<void> | null {
    return this.#parts.kernel.checkOf(exchange, { kind: "bearer", secret: tokenOf(exchange) });
  }

  /** @throws GotifyError 401, RATE_LIMITED, OVERLOADED */
  async visitor(exchange: Exchange): Promise<GotifyVisitor> {
    const found = exchange.found as GotifyVisitor | Promise<void> | null;
    const known = found instanceof Promise ? await this.#checked(exchange, found) : found;
    if (known) return known;
    const basic = basicOf(exchange);
    if (basic === null) throw unauthenticated();
    exchange.work?.beforeCheck(exchange, { rows: CHECK_ROWS });
    try {
      const owner = await this.#parts.passwordOwner(basic.login, basic.password, exchange.clientAddress);
      this.#passwords.add(basic.login, basic.password, owner);
      const visitor = this.#ofPassword(owner);
      exchange.identified(visitor.principal);
      return visitor;
    } catch (error) {
      if (error instanceof PrismError && error.code === "VALIDATION_FAILED") throw unauthenticated();
      throw asGotifyError(error);
    }
  }

  /** @throws RATE_LIMITED for an address that sends wrong tokens */
  async #checked(exchange: Exchange, check: Promise<void>): Promise<GotifyVisitor | null> {
    await check;
    const visitor = this.#known(exchange);
    if (visitor) exchange.identified(visitor.principal);
    else if (basicOf(exchange) === null) this.#parts.kernel.limitAddress(exchange);
    return visitor;
  }

  /** The caller of an upgrade. @throws UNAUTHENTICATED, RATE_LIMITED */
  socketVisitor(exchange: Exchange): UserVisitor {
    const visitor = this.#known(exchange);
    if (visitor?.kind === "user") return visitor;
    this.#parts.kernel.limitAddress(exchange);
    throw new PrismError("UNAUTHENTICATED", "Send the token of a client");
  }

  /** Whether the credential of a connection is still valid. */
  isCurrent({ client, password }: UserVisitor): boolean {
    // One that is connected is in use.
    if (client) return this.#sql.client.get(client.row.tokenHash)?.id === client.row.id;
    return password === null || this.#passwords.isUnchanged(password);
  }

  /** The caller, if no password must be checked. */
  #known(exchange: Exchange): GotifyVisitor | null {
    const token = tokenOf(exchange);
    const basic = basicOf(exchange);
    try {
      const visitor = token === "" || token.length > MAX_SECRET_LENGTH ? null : this.#byToken(token);
      if (visitor || !basic) return visitor;
      if (/^prt_/.test(basic.password)) return this.#ofPrism(basic.password);
      const owner = this.#passwords.get(basic.login, basic.password);
      return owner ? this.#ofPassword(owner) : null;
    } catch (error) {
      if (error instanceof PrismError) return null;
      throw error;
    }
  }

  #byToken(token: string): GotifyVisitor | null {
    const { principals } = this.#parts;
    const hash = hashToken(token);
    // Most requests are of applications.
    const application = this.#sql.application.get(hash);
    if (application) return { kind: "application", application, principal: principals.ofUser(application.userId) };
    const row = this.#sql.client.get(hash);
    if (row && hasExpired(row, this.#parts.clock.now())) return null;
    if (row) return { kind: "user", principal: principals.ofUser(row.userId), client: { row, token }, password: null };
    return /^prt_|\./.test(token) ? this.#ofPrism(token) : null;
  }

  /** A login, or a service token for one's own notifications. */
  #ofPrism(secret: string): GotifyVisitor | null {
    const principal: Principal = this.#parts.principals.authenticate({ kind: "bearer", secret });
    if (principal.kind === "apiKey" || principal.kind === "operator") return null;
    if (!hasTokenScope(principal, ["notifications:own"])) return null;
    return { kind: "user", principal, client: null, password: null };
  }

  #ofPassword(password: PasswordOwner): UserVisitor {
    return { kind: "user", principal: this.#parts.principals.ofUser(password.userId), client: null, password };
  }
}

/** The first one that is not empty. */
function tokenOf(exchange: Exchange): string {
  const inQuery = exchange.queryText === "" ? null : new URLSearchParams(exchange.queryText).get("token");
  const [, bearer = ""] = /^bearer (.*)$/i.exec(exchange.header("authorization")) ?? [];
  return inQuery || exchange.header("x-gotify-key") || bearer.trim();
}

function basicOf(exchange: Exchange): Basic | null {
  const [, encoded] = /^basic (\S{1,8192})\s*$/i.exec(exchange.header("authorization")) ?? [];
  return encoded === undefined ? null : readBasic(encoded);
}
