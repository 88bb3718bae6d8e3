import type { Database as Sqlite } from "better-sqlite3";
import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Database } from "../../store/database.ts";
import type { AuditService } from "../audit/index.ts";
import type { AccessClaims } from "./access-tokens.ts";
import { IssuerKeys } from "./issuer-keys.ts";
import { IssuerTokens, type IssuerTokensOptions } from "./issuer-tokens.ts";
import { IssuerUsers } from "./issuer-users.ts";
import { UserAdmin } from "./user-admin.ts";

export interface TrustedIssuerParts {
  readonly config: Config;
  readonly reader: Sqlite;
  readonly database: Database;
  readonly audit: AuditService;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Another program whose tokens count here as those of an account. */
export interface TrustedIssuer {
  /** @throws TOKEN_INVALID, TOKEN_EXPIRED, OVERLOADED */
  verify(token: string): AccessClaims;
  start(): void;
  stop(): void;
}

/** The issuer of `auth.trusted`; undefined where none is configured. */
export function openTrustedIssuer(parts: TrustedIssuerParts): TrustedIssuer | undefined {
  const { config, reader, database, clock, audit, log } = parts;
  const { trusted } = config.auth;
  const { issuer, audience, userClaim, userField, clockSkewMs, jwksUrl, secret } = trusted;
  const jwks =
    jwksUrl === undefined ? undefined : new IssuerKeys({ url: jwksUrl, clock, log, changed: () => tokens.forget() });
  const keys: IssuerTokensOptions["keys"] | undefined = jwks
    ? { kind: "jwks", jwks, algorithms: trusted.algorithms }
    : secret === undefined
      ? undefined
      : { kind: "secret", secret };
  if (!keys) return undefined;
  const isUserEmail = userField === "email";
  const tokens = new IssuerTokens({ issuer, audience, userClaim, isUserEmail, clockSkewMs, clock, keys });
  const users = new IssuerUsers({
    reader,
    database,
    clock,
    log,
    userField,
    userAdmin: new UserAdmin(audit, clock, config.timezone),
    provisionRoles: trusted.provision ? trusted.roles : null,
  });
  return {
    verify(token) {
      const identity = tokens.verify(token);
      return { userId: users.idOf(identity), sessionId: null, expiresAt: identity.expiresAt };
    },
    start: () => jwks?.start(),
    stop: () => jwks?.stop(),
  };
}
