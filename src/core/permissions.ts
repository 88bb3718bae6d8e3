/**
 * Every permission, with a line for people who edit roles. An active user's own resources
 * (notifications:own) need none of them.
 */
export const PERMISSION_TEXTS = {
  "users:read": "See the accounts of all users",
  "users:approve": "Approve and reject pending accounts",
  "users:manage": "Create, change, disable and delete accounts; end sessions, revoke tokens, reset second factors",
  "roles:read": "See roles and their permissions",
  "roles:manage": "Create, change and delete roles",
  "rules:read": "See rules and explanations of their decisions, in projects that the user is a member of",
  "rules:write": "Create, change and delete rules in those projects",
  "events:read": "Read and follow events in those projects",
  "events:write": "Send events to those projects",
  "events:delete": "Delete events of those projects",
  "projects:create": "Create projects, as their owner",
  "projects:all": "Act as an owner in every project",
  "notifications:send": "Send notifications to any user, without a rule",
  "notifications:read_all": "Read the notifications and deliveries of all users",
  "audit:read": "Read and verify the audit trail",
  "audit:export": "Export the audit trail",
  "buckets:read": "See transfer buckets and their balances",
  "buckets:write": "Create and change transfer buckets",
  "buckets:balance": "Set the balance of a transfer bucket",
  "sounds:read": "List and play notification sounds",
  "sounds:write": "Upload and delete notification sounds",
  "timers:create": "Create timers and schedules of one's own",
  "timers:any": "See, change and cancel the timers and schedules of all users",
  "events:emit": "Let timers and schedules emit events of the server",
  "jobs:read": "See jobs, queues and dead letters",
  "jobs:manage": "Retry, cancel and promote jobs; pause and resume queues",
  "jobs:work": "Claim and complete jobs, for service tokens of workers",
  "messages:own": "Send messages, and read those sent and received",
  "messages:read_all": "See who wrote to whom and when, without the text",
  "tasks:own": "Keep a task list",
  "tasks:all": "Read and change the tasks of all users",
  "realtime:publish": "Publish to live channels",
  "webhooks:manage": "Create, test and delete webhooks",
  "incidents:act": "Acknowledge, snooze, escalate and resolve incidents of those projects",
  "silences:write": "Create and end silences and maintenance windows in those projects",
  "silences:broad": "Create silences that hit many alerts, or with matchers that match any value",
  "policies:write": "Change policies, routes and integrations of those projects",
  "oncall:write": "Change on-call schedules, overrides and swaps of those projects",
  "heartbeats:write": "Create, change and delete heartbeats of those projects",
  "receivers:write": "Create, change and delete receivers of those projects, and read their requests",
  "channels:write": "Create, change and delete channels of those projects",
  "modules:manage": "Enable, disable and configure modules",
  "system:status": "See the state of the server, its queues and connections",
  "system:manage": "See and change the settings of the server",
} as const;

export type Permission = keyof typeof PERMISSION_TEXTS;

export const PERMISSIONS = Object.keys(PERMISSION_TEXTS) as readonly Permission[];

/** Permissions that a user has only in the default project and in projects of which it is a member. */
export const PROJECT_PERMISSIONS = [
  "events:read",
  "events:write",
  "events:delete",
  "rules:read",
  "rules:write",
  "realtime:publish",
  "incidents:act",
  "silences:write",
  "silences:broad",
  "policies:write",
  "oncall:write",
  "heartbeats:write",
  "receivers:write",
  "channels:write",
] as const satisfies readonly Permission[];

export type ProjectPermission = (typeof PROJECT_PERMISSIONS)[number];

/** Prefix of an unknown permission that a role stores. No permission of Prism starts with it. */
const CUSTOM = "custom:";

/**
 * A role's permissions in stored form. Unknown names are kept for other programs and grant nothing.
 * A later version of Prism may know such a name, so one that is stored as custom stays custom.
 * @param held the role's stored permissions.
 */
export function storedPermissions(given: readonly string[], held: readonly string[]): string[] {
  const known: readonly string[] = PERMISSIONS;
  const stored = given.map((name) => {
    const isCustom = !known.includes(name) || held.includes(CUSTOM + name);
    return isCustom ? CUSTOM + name : name;
  });
  return [...new Set(stored)];
}

/** A role's permissions as clients see them. */
export function shownPermissions(stored: readonly string[]): string[] {
  return stored.map((name) => (isCustomPermission(name) ? name.slice(CUSTOM.length) : name));
}

export function isCustomPermission(stored: string): boolean {
  return stored.startsWith(CUSTOM);
}

/**
 * Scopes of every active user, without any permission: the account itself (profile, preferences,
 * push devices, logins) and the user's own notifications. A service token has them only if it was
 * created with them. No role holds them.
 */
export const OWN_SCOPES = ["account:own", "notifications:own"] as const;

export const TOKEN_SCOPES = [...PERMISSIONS, ...OWN_SCOPES] as const;

export type TokenScope = (typeof TOKEN_SCOPES)[number];

/** Scopes that let a service token read the projects of its user, and their members. */
export const PROJECT_SCOPES: readonly TokenScope[] = ["projects:create", "projects:all", ...PROJECT_PERMISSIONS];

/** Scopes of an API key of a project. */
export const KEY_SCOPES = [
  "events:write",
  "events:read",
  "realtime:subscribe",
  "realtime:publish",
  "notifications:send",
  "silences:write",
  "silences:broad",
  "mirror:observe",
] as const;

export type KeyScope = (typeof KEY_SCOPES)[number];

export const DEFAULT_KEY_SCOPES: readonly KeyScope[] = ["events:write", "events:read", "silences:write"];

/** Built-in roles and their permissions. Admin always has every permission. */
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
    "incidents:act",
    "silences:write",
    "policies:write",
    "oncall:write",
    "heartbeats:write",
    "receivers:write",
    "channels:write",
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
    "incidents:act",
    "silences:write",
    "oncall:write",
    "heartbeats:write",
    "receivers:write",
    "channels:write",
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
