import type { Known, Membership, ROLES } from "./known.ts";
import type { Refusal, Rule, Table } from "./row.ts";

type Role = (typeof ROLES)[number];

/** Contract 4.3: who has which permission. */
export const HOLDERS = {
  "users:read": ["Admin", "Operator", "Auditor"],
  "users:approve": ["Admin"],
  "users:manage": ["Admin"],
  "roles:read": ["Admin", "RuleManager", "Operator", "Viewer", "Auditor"],
  "roles:manage": ["Admin"],
  "rules:read": ["Admin", "RuleManager", "Operator", "Viewer", "Auditor"],
  "rules:write": ["Admin", "RuleManager"],
  "events:read": ["Admin", "RuleManager", "Operator", "Viewer", "Auditor"],
  "events:write": ["Admin", "RuleManager", "Operator", "User"],
  "events:delete": ["Admin"],
  "projects:create": ["Admin", "RuleManager", "Operator", "User"],
  "projects:all": ["Admin"],
  "notifications:send": ["Admin", "RuleManager", "Operator"],
  "notifications:read_all": ["Admin", "Operator", "Auditor"],
  "audit:read": ["Admin", "Auditor"],
  "audit:export": ["Admin", "Auditor"],
  "buckets:read": ["Admin", "RuleManager", "Operator", "User", "Viewer", "Auditor"],
  "buckets:write": ["Admin", "RuleManager", "Operator"],
  "buckets:balance": ["Admin", "Operator"],
  "sounds:read": ["Admin", "RuleManager", "Operator", "User", "Viewer", "Auditor"],
  "sounds:write": ["Admin", "RuleManager"],
  "timers:create": ["Admin", "RuleManager", "Operator", "User"],
  "timers:any": ["Admin", "Operator"],
  "events:emit": ["Admin", "Operator"],
  "jobs:read": ["Admin", "RuleManager", "Operator", "Viewer", "Auditor"],
  "jobs:manage": ["Admin", "Operator"],
  // 4.12: given by an Admin, to service tokens of workers.
  "jobs:work": ["Admin"],
  "messages:own": ["Admin", "RuleManager", "Operator", "User"],
  "messages:read_all": ["Admin", "Auditor"],
  "tasks:own": ["Admin", "RuleManager", "Operator", "User", "Viewer"],
  "tasks:all": ["Admin"],
  "realtime:publish": ["Admin", "Operator"],
  "webhooks:manage": ["Admin", "RuleManager"],
  "incidents:act": ["Admin", "RuleManager", "Operator"],
  "silences:write": ["Admin", "RuleManager", "Operator"],
  "silences:broad": ["Admin"],
  "policies:write": ["Admin", "RuleManager"],
  "oncall:write": ["Admin", "RuleManager", "Operator"],
  "heartbeats:write": ["Admin", "RuleManager", "Operator"],
  "receivers:write": ["Admin", "RuleManager", "Operator"],
  "channels:write": ["Admin", "RuleManager", "Operator"],
  "modules:manage": ["Admin"],
  "system:status": ["Admin", "RuleManager", "Operator", "Viewer", "Auditor"],
  "system:manage": ["Admin"],
} as const satisfies Record<string, readonly Role[]>;

type Permission = keyof typeof HOLDERS;

const RANK: Readonly<Record<Membership, number>> = { viewer: 1, editor: 2, owner: 3 };
export const NO_KEYS: Refusal = [403, "FORBIDDEN"];
export const NO_ROLE: Refusal = [403, "UNAUTHORIZED_ROLE"];
export const NO_SCOPE: Refusal = [403, "SCOPE_MISSING"];

/** A service token carries a subset of what its user may do. */
export const holds = (who: Known, permission: Permission): boolean =>
  who.kind === "user" &&
  (HOLDERS[permission] as readonly (string | null)[]).includes(who.role) &&
  (who.scopes === null || who.scopes.includes(permission));

export const anyUser: Rule = (who) => (who.kind === "key" ? NO_KEYS : null);

/**
 * A service token needs one of these scopes where no permission is asked for; then the rule
 * decides.
 */
export function scoped(scopes: readonly string[], rule: Rule = anyUser): Rule {
  return (who) => {
    if (who.kind === "key" || who.scopes === null || scopes.some((scope) => who.scopes?.includes(scope)))
      return rule(who);
    return NO_SCOPE;
  };
}

/** {@link scoped} for each row of some routes. */
export function scopedRows(scopes: readonly string[], table: Table): Table {
  const rows = Object.entries(table).map(([key, of]) => [
    key,
    [of].flat().map((row) => ({ ...row, refusal: scoped(scopes, row.refusal) })),
  ]);
  return Object.fromEntries(rows);
}

/** Who has logged in with a password: no key, and no service token either. */
export const inPerson: Rule = (who) => anyUser(who) ?? (who.kind === "user" && who.scopes !== null ? NO_KEYS : null);

/** Holders of a permission, and keys of any project with a scope. */
export function may(permission: Permission, scope?: string): Rule {
  return (who) => {
    if (who.kind === "user") return holds(who, permission) ? null : NO_ROLE;
    if (scope === undefined) return NO_KEYS;
    return who.scope === scope ? null : NO_SCOPE;
  };
}

/**
 * Another user's objects: holders of a permission reach them, for all other users they do not
 * exist.
 */
export function ownersAnd(permission: Permission, hidden: string): Rule {
  return (who) => anyUser(who) ?? (holds(who, permission) ? null : [404, hidden]);
}

export interface InProject {
  /** The lowest role in the project that is enough. */
  readonly from: Membership;
  readonly scope?: string;
  /** The answer to callers outside of the project. */
  readonly hidden: string;
  /** The answer to members without permission; default: that a permission is missing. */
  readonly refused?: Refusal;
}

/**
 * Only the role of a member counts in a project; `projects:all` is an owner in all. Permissions of
 * server roles count in `default` only.
 */
export function inShop({ from, scope, hidden, refused = NO_ROLE }: InProject): Rule {
  return (who) => {
    if (who.kind === "key") {
      if (scope === undefined) return NO_KEYS;
      if (who.scope !== scope) return NO_SCOPE;
      return who.isOfShop ? null : [404, hidden];
    }
    if (holds(who, "projects:all")) return null;
    if (who.member === null) return [404, hidden];
    return RANK[who.member] >= RANK[from] ? null : refused;
  };
}

export const readEvents = { from: "viewer", scope: "events:read" } as const;
