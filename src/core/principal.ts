import type { EpochMs } from "./clock.ts";
import type { KeyScope, Permission } from "./permissions.ts";

/**
 * Who is calling. Permissions are those of this moment: they are read from the database, never from
 * a token.
 */
export type Principal = UserPrincipal | KeyPrincipal;

export interface UserPrincipal {
  /**
   * Names the principal for ever, as one and the same string: the scope of idempotency keys, the
   * owner of rate buckets and connections.
   */
  readonly key: string;
  /** `service`: the user's personal token, which carries a subset of the user's permissions. */
  readonly kind: "user" | "service";
  readonly userId: string;
  readonly name: string;
  readonly permissions: ReadonlySet<Permission>;
  /** Ids of the roles that the user holds. */
  readonly roleIds: ReadonlySet<string>;
  /** Role by project of which the user is a member. */
  readonly memberships: ReadonlyMap<string, "owner" | "editor" | "viewer">;
  /** The service token's id. */
  readonly tokenId: string | null;
  /** The login that the access token came from. */
  readonly sessionId: string | null;
  /**
   * What a service token was made for, held or not; null: everything. It bounds what {@link
   * permissions} knows nothing of: what a role in a project adds, and what every user may do.
   */
  readonly tokenScopes: ReadonlySet<string> | null;
  /** When the credential ends; infinity for one without end. */
  readonly expiresAt: EpochMs;
  /** Of a live connection that was opened with a ticket for one stream: its name. */
  readonly onlyStream?: string;
}

export interface KeyPrincipal {
  readonly key: string;
  readonly kind: "apiKey";
  readonly keyId: string;
  readonly projectId: string;
  readonly scopes: ReadonlySet<KeyScope>;
  /** Requests a minute, and events a minute, in place of the general limits. */
  readonly rateLimit: number | null;
  readonly expiresAt: EpochMs;
  /** As of {@link UserPrincipal}. */
  readonly onlyStream?: string;
}

/** Whose rights are others than before. */
export type RightsChange =
  | { readonly of: "user"; readonly userId: string }
  | { readonly of: "session"; readonly sessionId: string; readonly userId: string }
  | { readonly of: "token"; readonly tokenId: string; readonly userId: string }
  | { readonly of: "key"; readonly keyId: string }
  | { readonly of: "role"; readonly roleId: string }
  | { readonly of: "project"; readonly projectId: string };
