/**
 * Every permission (contract 4.3). `own` rights of an active user (notifications:own) need no
 * permission and have none here.
 */
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
 * A role's permissions as they are stored. Names that Prism does not know are kept for other
 * programs and grant nothing here: a later version may know such a name, so one that the role holds
 * as custom stays custom.
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
 * What every active user may do without a permission, and a service token only if it was made for
 * it: the account itself (profile, preferences, push devices, logins), and the user's own
 * notifications. No role holds these.
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

/**
 * Built-in roles and their permissions as the contract's table gives them. Admin has every
 * permission, always.
 */
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
