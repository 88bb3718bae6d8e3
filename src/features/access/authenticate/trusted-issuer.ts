import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import { cleanText, codePointLength } from "../../../core/text/clean-text.ts";
import type { Uses } from "../../../module/feature.ts";
import { createUser, type NewUser, plainName, type UserContext } from "../users/create-user.ts";
import { type AccessClaims, overloaded } from "./access-tokens.ts";
import { type IssuerIdentity, IssuerKeys, IssuerTokens, type IssuerTokensOptions } from "./issuer-tokens.ts";

const MAX_UNDER_WAY = 64;
const FAILED_MS = 60_000;
const MAX_FAILED = 1000;
const MAX_EXTERNAL_ID = 128;

interface IssuerUsersParts extends Uses<"reader" | "db" | "clock" | "log"> {
  readonly making: UserContext;
  /** The field the claim is compared with. */
  readonly userField: "externalId" | "id" | "email";
  /** Roles of an account created for a user's first token; null: none is created. */
  readonly provisionRoles: readonly string[] | null;
}

class IssuerUsers {
  readonly #parts: IssuerUsersParts;
  readonly #find;
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #failed: TtlCache<string, true>;

  constructor(parts: IssuerUsersParts) {
    this.#parts = parts;
    const { reader, clock } = parts;
    this.#failed = new TtlCache({ maxEntries: MAX_FAILED, ttlMs: FAILED_MS, clock });
    this.#find = {
      externalId: reader.prepare<[string], { id: string }>(
        "select id from users where externalId = ? and deletedAt is null",
      ),
      id: reader.prepare<[string], { id: string }>("select id from users where id = ? and deletedAt is null"),
      email: reader.prepare<[string], { id: string }>("select id from users where email = ? and deletedAt is null"),
    }[parts.userField];
  }

  /**
   * The id of the account, in any status.
   * @throws TOKEN_INVALID without one; OVERLOADED before {@link provide} has created it
   */
  idOf(identity: IssuerIdentity): string {
    const ref = this.#refOf(identity);
    const found = this.#find.get(ref);
    if (found) return found.id;
    if (this.#isMissing(ref)) throw new PrismError("TOKEN_INVALID", "The account of this token does not exist");
    throw overloaded("The account of this token is being created");
  }

  /** Whether {@link provide} has an account to create. */
  lacks(identity: IssuerIdentity): boolean {
    const ref = this.#refOf(identity);
    return !this.#find.get(ref) && !this.#isMissing(ref);
  }

  /** Creates the account of a user's first token. @throws OVERLOADED for too many at a time */
  async provide(identity: IssuerIdentity): Promise<void> {
    const { provisionRoles } = this.#parts;
    if (provisionRoles === null || !this.lacks(identity)) return;
    const ref = this.#refOf(identity);
    const running = this.#underWay.get(ref);
    if (running) return running;
    if (this.#underWay.size >= MAX_UNDER_WAY) throw overloaded("Too many accounts are being made");
    const started = this.#provision(identity, ref, provisionRoles).finally(() => this.#underWay.delete(ref));
    this.#underWay.set(ref, started);
    return started;
  }

  #refOf({ ref }: IssuerIdentity): string {
    return this.#parts.userField === "email" ? plainName(ref) : ref;
  }

  /** Whether there is no account and none is created. */
  #isMissing(ref: string): boolean {
    return this.#parts.provisionRoles === null || this.#failed.get(ref) === true || !this.#isPossible(ref);
  }

  #isPossible(ref: string): boolean {
    if (this.#parts.userField === "id") return isUuid(ref);
    return cleanText(ref) === ref && ref !== "me" && codePointLength(ref) <= MAX_EXTERNAL_ID;
  }

  async #provision(identity: IssuerIdentity, ref: string, roles: readonly string[]): Promise<void> {
    const { db, making, userField, log } = this.#parts;
    const name = cleanText(identity.name ?? "").slice(0, MAX_EXTERNAL_ID) || ref;
    // The issuer has confirmed each address that it gives (issuer-tokens.ts).
    const user: NewUser = { name, roles, [userField]: ref, isEmailVerified: true };
    const { email } = identity;
    const make = (values: NewUser): Promise<void> =>
      db.write(async (trx) => {
        await createUser(making, values, trx, "issuer");
      });
    try {
      // An invalid address, or another account's, is omitted: the claim identifies the user.
      if (userField === "email" || email === undefined) await make(user);
      else await make({ ...user, email }).catch(() => make(user));
    } catch (error) {
      this.#failed.set(ref, true);
      log.warn({ err: error }, "cannot create the account of an issuer's token");
    }
  }
}

/** Another issuer whose tokens authenticate accounts here. */
export interface TrustedIssuer {
  /** @throws TOKEN_INVALID, TOKEN_EXPIRED; OVERLOADED before {@link prepare} has verified the token */
  verify(token: string): AccessClaims;
  /** Verifies a token and creates its account, for `verify`; null if that is done. */
  prepare(token: string): (() => Promise<void>) | null;
  start(): void;
  stop(): void;
}

/** The issuer of `auth.trusted`; undefined if none is configured. */
export function openTrustedIssuer(
  parts: Uses<"config" | "reader" | "db" | "audit" | "clock" | "log">,
): TrustedIssuer | undefined {
  const { config, reader, db, clock, audit, log } = parts;
  const { trusted } = config.auth;
  const { issuer, audience, userClaim, userField, clockSkewMs, jwksUrl, secret } = trusted;
  const jwks =
    jwksUrl === undefined
      ? undefined
      : new IssuerKeys({ url: jwksUrl, proxy: config.proxy, clock, log, changed: () => tokens.forget() });
  const keys: IssuerTokensOptions["keys"] | undefined = jwks
    ? { kind: "jwks", jwks, algorithms: trusted.algorithms }
    : secret === undefined
      ? undefined
      : { kind: "secret", secret };
  if (!keys) return undefined;
  const isUserEmail = userField === "email";
  const { checked: tokens } = new IssuerTokens({ issuer, audience, userClaim, isUserEmail, clockSkewMs, clock, keys });
  const users = new IssuerUsers({
    reader,
    db,
    clock,
    log,
    userField,
    making: { audit, clock, timezone: config.timezone },
    provisionRoles: trusted.provision ? trusted.roles : null,
  });
  const settle = async (token: string): Promise<void> => {
    try {
      await tokens.check(token);
      const identity = tokens.known(token);
      if (identity) await users.provide(identity);
    } catch (error) {
      // `verify` throws it, or OVERLOADED.
      if (!(error instanceof PrismError)) throw error;
    }
  };
  const needsWork = (token: string): boolean => {
    try {
      const identity = tokens.known(token);
      return identity === undefined || users.lacks(identity);
    } catch {
      return false;
    }
  };
  return {
    verify(token) {
      const identity = tokens.known(token);
      if (!identity) throw overloaded("The token is being checked");
      return { userId: users.idOf(identity), sessionId: null, expiresAt: identity.expiresAt };
    },
    prepare: (token) => (needsWork(token) ? () => settle(token) : null),
    start: () => jwks?.start(),
    stop: () => jwks?.stop(),
  };
}
