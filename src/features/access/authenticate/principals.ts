import type { KeyPrincipal, Principal, RightsChange, RightsWatch, UserPrincipal } from "../../../core/caller.ts";
import { hashToken, isTokenOf } from "../../../core/crypto/tokens.ts";
import { assertNever, PrismError } from "../../../core/errors.ts";
import { recentlyUsed, TtlCache } from "../../../core/limits/ttl-cache.ts";
import { KEY_SCOPES, type KeyScope, PERMISSIONS, type Permission } from "../../../core/permissions.ts";
import { type Periodic, periodic } from "../../../core/time/periodic.ts";
import type { Authenticator, Credential, CredentialCheck } from "../../../http/server/credentials.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Database } from "../../../store/database.ts";
import type { ProjectRole, UserStatus } from "../../../store/schema.ts";
import { type DefaultProject, mayUseScope } from "../authorize.ts";
import type { AccessClaims } from "./access-tokens.ts";
import type { TrustedIssuer } from "./trusted-issuer.ts";

interface UserRecord {
  readonly key: string;
  readonly id: string;
  readonly name: string;
  readonly status: UserStatus;
  readonly roleIds: ReadonlySet<string>;
  readonly permissions: ReadonlySet<Permission>;
  readonly memberships: ReadonlyMap<string, ProjectRole>;
}

/** What a set of roles allows. */
type RoleRights = Pick<UserRecord, "roleIds" | "permissions">;

const NO_MEMBERSHIPS: UserRecord["memberships"] = new Map();

interface KeyRow {
  readonly id: string;
  readonly projectId: string;
  readonly scopes: string;
  readonly rateLimit: number | null;
  readonly expiresAt: number | null;
  readonly createdBy: string | null;
  /** Status of the account that made it, unless that is deleted; null without one. */
  readonly makerStatus: UserStatus | null;
}

const KEY_ROWS = `select k.id, k.projectId, k.scopes, k.rateLimit, k.expiresAt, k.createdBy, u.status as makerStatus
  from api_keys k join projects p on p.id = k.projectId
  left join users u on u.id = k.createdBy and u.deletedAt is null
  where k.revokedAt is null and p.deletedAt is null`;

interface TokenRow {
  readonly id: string;
  readonly userId: string;
  readonly scopes: string;
  readonly expiresAt: number | null;
}

interface SessionRow {
  readonly userId: string;
  readonly expiresAt: number;
}

interface PrincipalsParts extends Uses<"reader" | "clock" | "accessTokens"> {
  /** Checks tokens of another issuer, if one is configured. */
  readonly issuer?: Pick<TrustedIssuer, "verify" | "prepare"> | undefined;
  readonly projects: DefaultProject;
  /** Tickets of live connections; each is valid once. */
  readonly tickets: { redeem(ticket: string): Principal | undefined };
  readonly cache: { readonly ttlMs: number; readonly maxEntries: number };
}

/**
 * Resolves credentials to principals with their current rights. Results are cached; changes of
 * users, roles, members, keys or tokens carry the effect `rights-changed`, so that a revoked right
 * fails on the next request.
 */
export class Principals implements Authenticator, RightsWatch {
  readonly #parts: PrincipalsParts;
  readonly #users: TtlCache<string, UserRecord>;
  /** By their rows: users with the same roles share them, for there may be tens of thousands. */
  readonly #rights;
  /**
   * Keyed by the API key itself: hashing each request would cost the hot path a twentieth of its
   * rate. The look-up compares bytes only after the engine's seeded hash of the whole text matches,
   * and an unknown key is only compared by its SHA-256.
   */
  readonly #keys: TtlCache<string, KeyPrincipal>;
  readonly #tokens: TtlCache<string, TokenRow>;
  readonly #sessions: TtlCache<string, SessionRow>;
  readonly #usedKeys = new Map<string, number>();
  readonly #usedTokens = new Map<string, number>();
  readonly #sql;

  readonly prepare = (credential: Credential): CredentialCheck | null => this.#prepare(credential);
  readonly rights: RightsWatch = this;
  changes = 0;

  constructor(parts: PrincipalsParts) {
    this.#parts = parts;
    const { cache, clock, reader } = parts;
    this.#users = new TtlCache({ ...cache, clock });
    this.#rights = recentlyUsed<string, RoleRights>(cache.maxEntries);
    this.#keys = new TtlCache({ ...cache, clock });
    this.#tokens = new TtlCache({ ...cache, clock });
    this.#sessions = new TtlCache({ ...cache, clock });
    this.#sql = {
      user: reader.prepare<[string], { id: string; name: string; status: UserStatus }>(
        "select id, name, status from users where id = ? and deletedAt is null",
      ),
      permissions: reader.prepare<[string], { id: string; permissions: string }>(
        "select r.id, r.permissions from user_roles u join roles r on r.id = u.roleId where u.userId = ?",
      ),
      memberships: reader.prepare<[string], { projectId: string; role: ProjectRole }>(
        `select m.projectId, m.role from project_members m join projects p on p.id = m.projectId
         where m.userId = ? and p.deletedAt is null`,
      ),
      key: reader.prepare<[string], KeyRow>(`${KEY_ROWS} and k.hash = ?`),
      keyById: reader.prepare<[string], KeyRow>(`${KEY_ROWS} and k.id = ?`),
      session: reader.prepare<[string], SessionRow>(
        "select userId, expiresAt from sessions where id = ? and revokedAt is null",
      ),
      token: reader.prepare<[string], TokenRow>(
        "select id, userId, scopes, expiresAt from service_tokens where hash = ? and revokedAt is null",
      ),
      tokenById: reader.prepare<[string], TokenRow>(
        "select id, userId, scopes, expiresAt from service_tokens where id = ? and revokedAt is null",
      ),
    };
  }

  authenticate({ kind, secret }: Credential): Principal {
    if (kind === "ticket") return this.#ticketPrincipal(secret);
    if (kind === "apiKey") return this.#keyPrincipal(secret);
    if (secret.startsWith("prt_")) return this.#tokenPrincipal(secret);
    return this.#accessPrincipal((this.#issuerOf(secret) ?? this.#parts.accessTokens).verify(secret));
  }

  #prepare({ kind, secret }: Credential): CredentialCheck | null {
    if (kind !== "bearer" || secret.startsWith("prt_")) return null;
    const issuer = this.#issuerOf(secret);
    const run = (issuer ?? this.#parts.accessTokens).prepare(secret);
    return run && { run, isCharged: issuer !== undefined };
  }

  /** The other issuer, if one is configured and the token is not one of Prism. */
  #issuerOf(token: string) {
    const { accessTokens, issuer } = this.#parts;
    return issuer !== undefined && !accessTokens.isOwn(token) ? issuer : undefined;
  }

  /** The same caller for the life of the token's login session: connections outlive the token. */
  forLogin(principal: UserPrincipal): UserPrincipal {
    const session = principal.sessionId === null ? undefined : this.#session(principal.sessionId);
    return session ? { ...principal, expiresAt: session.expiresAt } : principal;
  }

  /** The principal with its current rights; null once its key, token or account is invalid. */
  refresh(principal: Principal): Principal | null {
    try {
      const now = this.#asOfNow(principal);
      return now && principal.onlyStream !== undefined ? { ...now, onlyStream: principal.onlyStream } : now;
    } catch (error) {
      if (error instanceof PrismError) return null;
      throw error;
    }
  }

  #asOfNow(principal: Principal): Principal | null {
    if (principal.kind === "apiKey") {
      const row = this.#sql.keyById.get(principal.keyId);
      return row ? this.#keyPrincipalOf(row) : null;
    }
    if (principal.kind === "operator") return principal;
    if (principal.tokenId === null) return this.#accessPrincipal(principal);
    const row = this.#sql.tokenById.get(principal.tokenId);
    return row ? this.#servicePrincipal(row) : null;
  }

  /** The credential of the ticket may have been revoked since. @throws TOKEN_INVALID */
  #ticketPrincipal(ticket: string): Principal {
    const principal = this.#parts.tickets.redeem(ticket);
    const now = principal && this.refresh(principal);
    if (!now || now.expiresAt <= this.#parts.clock.now())
      throw new PrismError("TOKEN_INVALID", "The ticket is not valid, or was used");
    return now;
  }

  /**
   * The rights of an account, for work done later on its behalf. @throws ACCOUNT_DISABLED and
   * similar, TOKEN_INVALID if it is deleted.
   */
  ofUser(userId: string): UserPrincipal {
    return this.#userPrincipal(userId, Number.POSITIVE_INFINITY);
  }

  /** {@link ofUser} for an API key, by id. @throws INVALID_API_KEY if it is revoked or expired, ACCOUNT_DISABLED */
  ofKey(keyId: string): KeyPrincipal {
    const row = this.#sql.keyById.get(keyId);
    if (!row || (row.expiresAt !== null && row.expiresAt <= this.#parts.clock.now()))
      throw new PrismError("INVALID_API_KEY", "The API key is no longer valid");
    return this.#keyPrincipalOf(row);
  }

  /** Drops cached entries affected by a change of rights. */
  forget(change: RightsChange): void {
    this.changes++;
    switch (change.of) {
      case "user":
        this.#users.delete(change.userId);
        this.#keys.deleteWhere(({ createdBy }) => createdBy === change.userId);
        break;
      case "session":
        this.#sessions.delete(change.sessionId);
        break;
      case "token":
        this.#tokens.deleteWhere(({ id }) => id === change.tokenId);
        break;
      case "key":
        this.#keys.deleteWhere(({ keyId }) => keyId === change.keyId);
        break;
      case "role":
        this.#users.deleteWhere(({ roleIds }) => roleIds.has(change.roleId));
        this.#keys.deleteWhere(({ createdBy }) => createdBy !== null);
        break;
      case "project":
        this.#users.deleteWhere(({ memberships }) => memberships.has(change.projectId));
        this.#keys.deleteWhere(({ projectId }) => projectId === change.projectId);
        break;
      case "all":
        for (const cache of [this.#users, this.#keys, this.#tokens, this.#sessions]) cache.clear();
        break;
      default:
        assertNever(change);
    }
  }

  /** Keys and tokens used since the last call, with the time of last use. */
  takeUsed(): { keys: [string, number][]; tokens: [string, number][] } {
    const used = { keys: [...this.#usedKeys], tokens: [...this.#usedTokens] };
    this.#usedKeys.clear();
    this.#usedTokens.clear();
    return used;
  }

  get cacheStats(): { readonly hits: number; readonly misses: number } {
    const caches = [this.#users, this.#keys, this.#tokens, this.#sessions];
    return {
      hits: caches.reduce((sum, cache) => sum + cache.hits, 0),
      misses: caches.reduce((sum, cache) => sum + cache.misses, 0),
    };
  }

  #keyPrincipal(key: string): KeyPrincipal {
    let principal = this.#keys.get(key);
    if (!principal) {
      const row = isTokenOf("prk", key) ? this.#sql.key.get(hashToken(key)) : undefined;
      if (!row) throw new PrismError("INVALID_API_KEY", "The API key is not valid");
      principal = this.#keyPrincipalOf(row);
      this.#keys.set(key, principal, principal.expiresAt);
      this.#usedKeys.set(principal.keyId, this.#parts.clock.now());
    }
    if (principal.expiresAt <= this.#parts.clock.now())
      throw new PrismError("INVALID_API_KEY", "The API key has expired");
    return principal;
  }

  /** @throws SESSION_REVOKED when the login session has ended, even if the token has not expired */
  #accessPrincipal({ userId, sessionId, expiresAt }: AccessClaims): UserPrincipal {
    const principal = this.#userPrincipal(userId, expiresAt);
    if (sessionId === null) return principal;
    if (!this.#isLive(sessionId, userId))
      throw new PrismError("SESSION_REVOKED", "The session has ended; log in again");
    return { ...principal, sessionId };
  }

  #isLive(sessionId: string, userId: string): boolean {
    const session = this.#session(sessionId);
    return session !== undefined && session.userId === userId && session.expiresAt > this.#parts.clock.now();
  }

  #session(id: string): SessionRow | undefined {
    const known = this.#sessions.get(id);
    if (known) return known;
    const session = this.#sql.session.get(id);
    if (session) this.#sessions.set(id, session, session.expiresAt);
    return session;
  }

  #tokenPrincipal(token: string): UserPrincipal {
    const hash = isTokenOf("prt", token) ? hashToken(token) : undefined;
    if (hash === undefined) throw new PrismError("TOKEN_INVALID", "The service token is not valid");
    let row = this.#tokens.get(hash);
    if (!row) {
      row = this.#sql.token.get(hash);
      if (!row) throw new PrismError("TOKEN_INVALID", "The service token is not valid");
      this.#tokens.set(hash, row);
      this.#usedTokens.set(row.id, this.#parts.clock.now());
    }
    return this.#servicePrincipal(row);
  }

  #servicePrincipal(row: TokenRow): UserPrincipal {
    const expiresAt = row.expiresAt ?? Number.POSITIVE_INFINITY;
    if (expiresAt <= this.#parts.clock.now()) throw new PrismError("TOKEN_EXPIRED", "The service token has expired");
    const user = this.#userPrincipal(row.userId, expiresAt);
    const scopes = new Set<string>(JSON.parse(row.scopes) as string[]);
    const permissions = new Set([...user.permissions].filter((permission) => scopes.has(permission)));
    return { ...user, kind: "service", tokenId: row.id, tokenScopes: scopes, permissions };
  }

  #userPrincipal(userId: string, expiresAt: number): UserPrincipal {
    const user = this.#user(userId);
    if (user.status !== "active") throw accountError(user.status);
    return {
      key: user.key,
      kind: "user",
      userId,
      name: user.name,
      roleIds: user.roleIds,
      permissions: user.permissions,
      memberships: user.memberships,
      tokenId: null,
      sessionId: null,
      tokenScopes: null,
      expiresAt,
    };
  }

  /** The scopes that a key has now: those that the user who made it may use. */
  scopesOf({ scopes: stored, projectId, createdBy }: Pick<KeyRow, "scopes" | "projectId" | "createdBy">): KeyScope[] {
    const scopes = JSON.parse(stored) as KeyScope[];
    // Those of accounts that version 0.1 deleted have no maker.
    const maker = createdBy === null ? undefined : this.#find(createdBy);
    return maker ? scopes.filter((scope) => mayUseScope(maker, scope, projectId, this.#parts.projects)) : scopes;
  }

  /** @throws ACCOUNT_DISABLED while the account that made the key is disabled; INVALID_API_KEY while it may do nothing */
  #keyPrincipalOf(row: KeyRow): KeyPrincipal {
    if (row.makerStatus === "disabled")
      throw new PrismError("ACCOUNT_DISABLED", "The account that made this API key is disabled");
    const scopes = new Set<string>(this.scopesOf(row));
    if (scopes.size === 0) throw new PrismError("INVALID_API_KEY", "The API key is not valid");
    return {
      key: `key:${row.id}`,
      kind: "apiKey",
      keyId: row.id,
      projectId: row.projectId,
      scopes: new Set<KeyScope>(KEY_SCOPES.filter((scope) => scopes.has(scope))),
      rateLimit: row.rateLimit,
      createdBy: row.createdBy,
      expiresAt: row.expiresAt ?? Number.POSITIVE_INFINITY,
    };
  }

  #user(userId: string): UserRecord {
    const user = this.#find(userId);
    if (!user) throw new PrismError("TOKEN_INVALID", "The account of this token does not exist");
    return user;
  }

  #find(userId: string): UserRecord | undefined {
    const known = this.#users.get(userId);
    if (known) return known;
    const row = this.#sql.user.get(userId);
    if (!row) return undefined;
    const memberships = this.#sql.memberships.all(userId);
    const { roleIds, permissions } = this.#rightsOf(userId);
    // Not by `...row`: each row of the database has a shape of its own, which takes 300 bytes.
    const user: UserRecord = {
      key: `user:${row.id}`,
      id: row.id,
      name: row.name,
      status: row.status,
      roleIds,
      permissions,
      memberships:
        memberships.length === 0
          ? NO_MEMBERSHIPS
          : new Map(memberships.map(({ projectId, role }) => [projectId, role])),
    };
    this.#users.set(userId, user);
    return user;
  }

  /** The rows themselves are the key, so a changed role is another entry. */
  #rightsOf(userId: string): RoleRights {
    const roles = this.#sql.permissions.all(userId);
    const key = JSON.stringify(roles);
    const known = this.#rights.get(key);
    if (known) return known;
    const held = new Set(roles.flatMap(({ permissions }) => JSON.parse(permissions) as string[]));
    const rights: RoleRights = {
      roleIds: new Set(roles.map(({ id }) => id)),
      permissions: new Set(PERMISSIONS.filter((permission) => held.has(permission))),
    };
    this.#rights.set(key, rights);
    return rights;
  }
}

/** Each key and token is written at most once a minute, all in one transaction. */
const FLUSH_EVERY_MS = 60_000;

/** Writes `lastUsedAt` of keys and tokens. */
export function usageMarks(database: Database, principals: Principals): Periodic {
  return periodic({
    everyMs: FLUSH_EVERY_MS,
    async work() {
      const { keys, tokens } = principals.takeUsed();
      if (keys.length === 0 && tokens.length === 0) return;
      await database.write(async (trx) => {
        for (const [id, at] of keys)
          await trx.updateTable("api_keys").set({ lastUsedAt: at }).where("id", "=", id).execute();
        for (const [id, at] of tokens)
          await trx.updateTable("service_tokens").set({ lastUsedAt: at }).where("id", "=", id).execute();
      });
    },
    onError: () => undefined,
    atStop: true,
  });
}

/** Why an existing account may not be used. Returned only to callers that have proven to own it. */
export function accountError(status: Exclude<UserStatus, "active">): PrismError {
  switch (status) {
    case "pending":
      return new PrismError("ACCOUNT_PENDING", "The account waits for approval");
    case "unverified":
      return new PrismError("ACCOUNT_UNVERIFIED", "The account's mail address has not been verified");
    case "disabled":
      return new PrismError("ACCOUNT_DISABLED", "The account is disabled");
  }
}
