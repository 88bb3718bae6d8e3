import { type KeyScope, PERMISSIONS, type Permission } from "./permissions.ts";
import type { EpochMs } from "./time/clock.ts";

/** The authenticated caller. Permissions are read from the database at each request. */
export type Principal = PermissionHolder | KeyPrincipal;

/** A caller with permissions of its own; an API key has scopes instead. */
export type PermissionHolder = UserPrincipal | OperatorPrincipal;

export interface UserPrincipal {
  /**
   * Permanent, unique name of the principal: the scope of its idempotency keys, and the owner of
   * its rate limits and connections.
   */
  readonly key: string;
  /** `service`: the user's personal token, which carries a subset of the user's permissions. */
  readonly kind: "user" | "service";
  readonly userId: string;
  readonly name: string;
  readonly permissions: ReadonlySet<Permission>;
  readonly roleIds: ReadonlySet<string>;
  /** The user's role per project. */
  readonly memberships: ReadonlyMap<string, "owner" | "editor" | "viewer">;
  readonly tokenId: string | null;
  /** The login session of the access token. */
  readonly sessionId: string | null;
  /**
   * Scopes of a service token, granted or not; null: all. Bounds what {@link permissions} does not
   * cover: rights from a role in a project, and the scopes of every user.
   */
  readonly tokenScopes: ReadonlySet<string> | null;
  /** When the credential expires; Infinity if it does not. */
  readonly expiresAt: EpochMs;
  /** Name of the only stream a connection may follow, if a ticket for it opened the connection. */
  readonly onlyStream?: string;
}

/**
 * The operator of this server: a request on the control socket. Holds every permission and has no
 * account, so that routes about the caller's own things refuse it.
 */
export interface OperatorPrincipal {
  readonly key: "operator";
  readonly kind: "operator";
  readonly userId: null;
  readonly name: "operator";
  readonly permissions: ReadonlySet<Permission>;
  readonly roleIds: ReadonlySet<string>;
  readonly memberships: ReadonlyMap<string, "owner" | "editor" | "viewer">;
  readonly tokenId: null;
  readonly sessionId: null;
  readonly tokenScopes: null;
  readonly expiresAt: EpochMs;
  readonly onlyStream?: string;
}

export const OPERATOR: OperatorPrincipal = {
  key: "operator",
  kind: "operator",
  userId: null,
  name: "operator",
  permissions: new Set(PERMISSIONS),
  roleIds: new Set(),
  memberships: new Map(),
  tokenId: null,
  sessionId: null,
  tokenScopes: null,
  expiresAt: Number.POSITIVE_INFINITY,
};

export interface KeyPrincipal {
  readonly key: string;
  readonly kind: "apiKey";
  readonly keyId: string;
  readonly projectId: string;
  readonly scopes: ReadonlySet<KeyScope>;
  /** The user who made the key; null: the operator. */
  readonly createdBy: string | null;
  /** Requests per minute and events per minute, in place of the general limits. */
  readonly rateLimit: number | null;
  readonly expiresAt: EpochMs;
  /** See {@link UserPrincipal}. */
  readonly onlyStream?: string;
}

/** The person whose limits a caller uses: the user, and for an API key the user who made it. */
export function personKey(principal: Principal): string {
  return principal.kind === "apiKey" && principal.createdBy !== null ? `user:${principal.createdBy}` : principal.key;
}

/** Tells whether rights have changed since a request was admitted. */
export interface RightsWatch {
  /** Number of changes so far. */
  readonly changes: number;
  /** The principal with its current rights; null once its credential or account is invalid. */
  refresh(principal: Principal): Principal | null;
}

/** The subject whose rights changed. */
export type RightsChange =
  | { readonly of: "user"; readonly userId: string }
  | { readonly of: "session"; readonly sessionId: string; readonly userId: string }
  | { readonly of: "token"; readonly tokenId: string; readonly userId: string }
  | { readonly of: "key"; readonly keyId: string }
  | { readonly of: "role"; readonly roleId: string }
  | { readonly of: "project"; readonly projectId: string }
  /** After a change of settings: all are read again. */
  | { readonly of: "all" };
