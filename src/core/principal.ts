import type { EpochMs } from "./clock.ts";

/** Every permission (contract 4.3). `own` rights of an active user (notifications:own) need no permission and have none here. */
export const PERMISSIONS = [
  "users:read",
  "users:approve",
  "users:manage",
  "roles:read",
  "roles:manage",
  "rules:read",
  "rules:write",
  "events:read",
  "events:write",
  "events:delete",
  "projects:create",
  "projects:all",
  "notifications:send",
  "notifications:read_all",
  "audit:read",
  "audit:export",
  "buckets:read",
  "buckets:write",
  "buckets:balance",
  "sounds:read",
  "sounds:write",
  "timers:create",
  "timers:any",
  "events:emit",
  "jobs:read",
  "jobs:manage",
  "jobs:work",
  "messages:own",
  "messages:read_all",
  "tasks:own",
  "tasks:all",
  "realtime:publish",
  "webhooks:manage",
  "modules:manage",
  "system:status",
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** How a role keeps a permission that is none of Prism's. No permission of Prism's begins so. */
const CUSTOM = "custom:";

/**
 * A role's permissions as they are stored. Names that Prism does not know are kept for other programs and grant nothing here: a later version
 * may know such a name, so one that the role holds as custom stays custom.
 * @param held what the role has stored.
 */
export function storedPermissions(given: readonly string[], held: readonly string[]): string[] {
  const known: readonly string[] = PERMISSIONS;
  const stored = given.map((name) => {
    const isCustom = !known.includes(name) || held.includes(CUSTOM + name);
    return isCustom ? CUSTOM + name : name;
  });
  return [...new Set(stored)];
}

/** A role's permissions as clients know them. */
export function shownPermissions(stored: readonly string[]): string[] {
  return stored.map((name) => (isCustomPermission(name) ? name.slice(CUSTOM.length) : name));
}

export function isCustomPermission(stored: string): boolean {
  return stored.startsWith(CUSTOM);
}

/**
 * What every active user may do without a permission, and a service token only if it was made for it: the account itself (profile, preferences,
 * push devices, logins), and the user's own notifications. No role holds these.
 */
export const OWN_SCOPES = ["account:own", "notifications:own"] as const;

/** What a service token may be made for. */
export const TOKEN_SCOPES = [...PERMISSIONS, ...OWN_SCOPES] as const;

export type TokenScope = (typeof TOKEN_SCOPES)[number];

/** Scopes that let a service token see which projects its user is in, and their members. */
export const PROJECT_SCOPES: readonly TokenScope[] = [
  "projects:create",
  "projects:all",
  "events:read",
  "events:write",
  "events:delete",
  "rules:read",
  "rules:write",
  "realtime:publish",
];

/** What an API key of a project may be allowed to do. */
export const KEY_SCOPES = [
  "events:write",
  "events:read",
  "realtime:subscribe",
  "realtime:publish",
  "notifications:send",
] as const;

export type KeyScope = (typeof KEY_SCOPES)[number];

export const DEFAULT_KEY_SCOPES: readonly KeyScope[] = ["events:write", "events:read"];

/** Built-in roles and their permissions as the contract's table gives them. Admin has every permission, always. */
export const BUILT_IN_ROLES: Readonly<Record<string, readonly Permission[]>> = {
  Admin: PERMISSIONS,
  RuleManager: [
    "roles:read",
    "rules:read",
    "rules:write",
    "events:read",
    "events:write",
    "projects:create",
    "notifications:send",
    "buckets:read",
    "buckets:write",
    "sounds:read",
    "sounds:write",
    "timers:create",
    "jobs:read",
    "messages:own",
    "tasks:own",
    "webhooks:manage",
    "system:status",
  ],
  Operator: [
    "users:read",
    "roles:read",
    "rules:read",
    "events:read",
    "events:write",
    "projects:create",
    "notifications:send",
    "notifications:read_all",
    "buckets:read",
    "buckets:write",
    "buckets:balance",
    "sounds:read",
    "timers:create",
    "timers:any",
    "events:emit",
    "jobs:read",
    "jobs:manage",
    "messages:own",
    "tasks:own",
    "realtime:publish",
    "system:status",
  ],
  User: [
    "events:write",
    "projects:create",
    "buckets:read",
    "sounds:read",
    "timers:create",
    "messages:own",
    "tasks:own",
  ],
  Viewer: [
    "roles:read",
    "rules:read",
    "events:read",
    "buckets:read",
    "sounds:read",
    "jobs:read",
    "tasks:own",
    "system:status",
  ],
  Auditor: [
    "users:read",
    "roles:read",
    "rules:read",
    "events:read",
    "notifications:read_all",
    "audit:read",
    "audit:export",
    "buckets:read",
    "sounds:read",
    "jobs:read",
    "messages:read_all",
    "system:status",
  ],
};

/** Who is calling. Permissions are those of this moment: they are read from the database, never from a token. */
export type Principal = UserPrincipal | KeyPrincipal;

export interface UserPrincipal {
  /** Names the principal for ever, as one and the same string: the scope of idempotency keys, the owner of rate buckets and connections. */
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
   * What a service token was made for, held or not; null: everything. It bounds what {@link permissions} knows nothing of: what a role in a
   * project adds, and what every user may do.
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
