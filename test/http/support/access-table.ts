import { type AccessWorld, join, type Known, type Membership, makeKey, makeRule, type ROLES } from "./access-world.ts";

/** A request that would succeed if its sender may. */
export interface Request {
  readonly path: string;
  readonly body?: unknown;
  /** HEAD in place of GET: an event stream has no end. */
  readonly method?: string;
}

export type Refusal = readonly [status: number, code: string];

export interface Row {
  /** Null: served. */
  readonly refusal: (who: Known) => Refusal | null;
  readonly request: (world: AccessWorld, who: Known, isServed: boolean) => Request | Promise<Request>;
  /** Served to everybody, with or without a credential. */
  readonly isPublic?: true;
  /** What a request that is let in answers, where that is no success. */
  readonly served?: Refusal;
}

type Role = (typeof ROLES)[number];

/** Contract 4.3, the permissions that this version's routes ask for. */
const HOLDERS = {
  "rules:read": ["Admin", "RuleManager", "Operator", "Viewer", "Auditor"],
  "rules:write": ["Admin", "RuleManager"],
  "events:read": ["Admin", "RuleManager", "Operator", "Viewer", "Auditor"],
  "events:write": ["Admin", "RuleManager", "Operator", "User"],
  "projects:create": ["Admin", "RuleManager", "Operator", "User"],
  "projects:all": ["Admin"],
  "notifications:send": ["Admin", "RuleManager", "Operator"],
  "notifications:read_all": ["Admin", "Operator", "Auditor"],
  "audit:read": ["Admin", "Auditor"],
  "audit:export": ["Admin", "Auditor"],
  "timers:create": ["Admin", "RuleManager", "Operator", "User"],
  "jobs:manage": ["Admin", "Operator"],
  "system:status": ["Admin", "RuleManager", "Operator", "Viewer", "Auditor"],
} as const satisfies Record<string, readonly Role[]>;

type Permission = keyof typeof HOLDERS;
type Rule = Row["refusal"];

const RANK: Readonly<Record<Membership, number>> = { viewer: 1, editor: 2, owner: 3 };
const NO_KEYS: Refusal = [403, "FORBIDDEN"];
const NO_ROLE: Refusal = [403, "UNAUTHORIZED_ROLE"];
const NO_SCOPE: Refusal = [403, "SCOPE_MISSING"];

const holds = (who: Known, permission: Permission): boolean =>
  who.kind === "user" && (HOLDERS[permission] as readonly (string | null)[]).includes(who.role);

const anyUser: Rule = (who) => (who.kind === "key" ? NO_KEYS : null);

/** Holders of a permission, and keys of any project with a scope. */
function may(permission: Permission, scope?: string): Rule {
  return (who) => {
    if (who.kind === "user") return holds(who, permission) ? null : NO_ROLE;
    if (scope === undefined) return NO_KEYS;
    return who.scope === scope ? null : NO_SCOPE;
  };
}

interface InProject {
  /** The lowest role in the project that is enough. */
  readonly from: Membership;
  /** The global permission that is enough for whoever sees the project. */
  readonly or?: Permission;
  readonly scope?: string;
  /** What strangers to the project are told. */
  readonly hidden: string;
  /** What members are told who may not; default: that a permission is missing. */
  readonly refused?: Refusal;
}

/** D56: members see the project, `projects:all` sees all; rights by role in the project and by permission add up. */
function inShop({ from, or, scope, hidden, refused = NO_ROLE }: InProject): Rule {
  return (who) => {
    if (who.kind === "key") {
      if (scope === undefined) return NO_KEYS;
      if (who.scope !== scope) return NO_SCOPE;
      return who.isOfShop ? null : [404, hidden];
    }
    if (holds(who, "projects:all")) return null;
    if (who.member === null) return [404, hidden];
    const isEnough = RANK[who.member] >= RANK[from] || (or !== undefined && holds(who, or));
    return isEnough ? null : refused;
  };
}

const nobodyElses: Rule = (who) => (who.kind === "key" ? NO_KEYS : [404, "NOTIFICATION_NOT_FOUND"]);
const readersOfAll =
  (refusal: Refusal): Rule =>
  (who) =>
    who.kind === "key" ? NO_KEYS : holds(who, "notifications:read_all") ? null : refusal;

const at =
  (path: string, body?: unknown): Row["request"] =>
  () => ({ path, body });
const inWorld =
  (path: (world: AccessWorld) => string, body?: unknown): Row["request"] =>
  (world) => ({ path: path(world), body });

const open = (path: string): Row => ({ isPublic: true, refusal: () => null, request: at(path) });
const upgradeOnly = (path: string): Row => ({ ...open(path), served: [426, "UPGRADE_REQUIRED"] });

const shop = ({ shop: id }: AccessWorld): string => `/api/v1/projects/${id}`;
const rule = ({ rule: id }: AccessWorld): string => `/api/v1/rules/${id}`;
const notification = ({ notification: id }: AccessWorld): string => `/api/v1/notifications/${id}`;
const readEvents = { from: "viewer", or: "events:read", scope: "events:read" } as const;
const readRules = { from: "editor", or: "rules:read" } as const;
const writeRules: InProject = {
  from: "owner",
  or: "rules:write",
  hidden: "RULE_NOT_FOUND",
};

/** Members of the shop without `rules:read` see no rule; those with it and without `rules:write` are told so. */
const changeRule: Rule = (who) =>
  inShop({ ...readRules, hidden: "RULE_NOT_FOUND", refused: [404, "RULE_NOT_FOUND"] })(who) ?? inShop(writeRules)(who);
const seeRule = inShop({ ...readRules, hidden: "RULE_NOT_FOUND", refused: [404, "RULE_NOT_FOUND"] });

const ofUsers =
  (query: (world: AccessWorld) => string, path: string): Row["request"] =>
  (world, who) => ({ path: who.kind === "user" || !who.isOfShop ? `${path}?${query(world)}` : path });

const owners = inShop({ from: "owner", hidden: "PROJECT_NOT_FOUND" });
const members = inShop({ from: "viewer", hidden: "PROJECT_NOT_FOUND" });

/** A project of its own, in which the caller is what it is in the shop: it will be gone afterwards. */
async function deleteProject({ prism, shop: id }: AccessWorld, who: Known, isServed: boolean): Promise<Request> {
  if (!isServed || who.kind !== "user") return { path: `/api/v1/projects/${id}` };
  const { body } = await prism.post<{ id: string }>("/api/v1/projects", { name: "short lived" });
  if (who.member) await join(prism, body.id, who.id, who.member);
  return { path: `/api/v1/projects/${body.id}` };
}

async function keyOfShop(world: AccessWorld, isServed: boolean): Promise<string> {
  const id = isServed ? (await makeKey(world.prism, world.shop)).id : "0198c0de-0000-7000-8000-000000000000";
  return `${shop(world)}/keys/${id}`;
}

const CONDITION = "event.type == 'never'";
const NEW_RULE = { name: "r", condition: CONDITION, targetRoles: ["Admin"] };
const NOTE = { title: "t", message: "m" };
const TIMER = {
  label: "l",
  delayMs: 31_536_000_000,
  action: { type: "notify", payload: { userId: "me", title: "t", body: "b" } },
};

/**
 * Who may call what, from the contract's tables (4.3 to 4.12, 5.3), by method and canonical path. All requests come with a forwarding header,
 * which closes what is open to this machine in development (D10).
 */
export const ACCESS: Readonly<Record<string, readonly Row[]>> = {
  "GET /health": [open("/health")],
  "GET /health/live": [open("/health/live")],
  "GET /health/ready": [open("/health/ready")],
  "GET /health/db": [open("/health/db")],
  "GET /health/redis": [open("/health/redis")],
  "GET /api/v1/openapi.json": [open("/api/v1/openapi.json")],
  "GET /docs": [open("/docs")],
  "GET /docs/init.js": [open("/docs/init.js")],
  "GET /docs/swagger-ui.css": [open("/docs/swagger-ui.css")],
  "GET /docs/swagger-ui-bundle.js": [
    { ...open("/docs/swagger-ui-bundle.js"), request: () => ({ path: "/docs/swagger-ui-bundle.js", method: "HEAD" }) },
  ],
  "GET /dev/token": [{ ...open("/dev/token"), served: [404, "NOT_FOUND"] }],
  "GET /ws": [upgradeOnly("/ws")],
  "GET /api/v1/realtime/:projectId": [upgradeOnly("/api/v1/realtime/default")],
  "GET /metrics": [{ refusal: may("system:status"), request: at("/metrics") }],
  "GET /api/v1/status": [{ refusal: may("system:status"), request: at("/api/v1/status") }],

  "GET /api/v1/users/me": [{ refusal: anyUser, request: at("/api/v1/users/me") }],

  "GET /api/v1/projects": [{ refusal: anyUser, request: at("/api/v1/projects") }],
  // Let in, and then told that the slug is taken: a caller who owned a project would have rights that its role does not give.
  "POST /api/v1/projects": [
    {
      refusal: may("projects:create"),
      request: at("/api/v1/projects", { name: "n", slug: "default" }),
      served: [409, "NAME_TAKEN"],
    },
  ],
  // Beyond the contract: a key with events:read may read its own project, which is how the command line finds it.
  "GET /api/v1/projects/:id": [
    { refusal: inShop({ from: "viewer", hidden: "PROJECT_NOT_FOUND", scope: "events:read" }), request: inWorld(shop) },
  ],
  "PATCH /api/v1/projects/:id": [{ refusal: owners, request: inWorld(shop, { name: "shop" }) }],
  "DELETE /api/v1/projects/:id": [{ refusal: owners, request: deleteProject }],
  "DELETE /api/v1/projects/:id/events": [
    { refusal: owners, request: inWorld((world) => `${shop(world)}/events?before=2001-01-01T00:00:00Z`) },
  ],
  "GET /api/v1/projects/:id/members": [{ refusal: members, request: inWorld((world) => `${shop(world)}/members`) }],
  "POST /api/v1/projects/:id/members": [
    {
      refusal: owners,
      request: (world) => ({ path: `${shop(world)}/members`, body: { userId: world.spare, role: "viewer" } }),
    },
  ],
  "PATCH /api/v1/projects/:id/members/:userId": [
    { refusal: owners, request: inWorld((world) => `${shop(world)}/members/${world.keeper}`, { role: "owner" }) },
  ],
  "DELETE /api/v1/projects/:id/members/:userId": [
    {
      refusal: owners,
      async request(world) {
        await join(world.prism, world.shop, world.spare, "viewer");
        return { path: `${shop(world)}/members/${world.spare}` };
      },
    },
  ],
  "GET /api/v1/projects/:id/keys": [
    {
      refusal: inShop({ from: "editor", hidden: "PROJECT_NOT_FOUND" }),
      request: inWorld((world) => `${shop(world)}/keys`),
    },
  ],
  "POST /api/v1/projects/:id/keys": [{ refusal: owners, request: inWorld((world) => `${shop(world)}/keys`, {}) }],
  "POST /api/v1/projects/:id/keys/:keyId/rotate": [
    {
      refusal: owners,
      request: async (world, _who, isServed) => ({ path: `${await keyOfShop(world, isServed)}/rotate`, body: {} }),
    },
  ],
  "DELETE /api/v1/projects/:id/keys/:keyId": [
    { refusal: owners, request: async (world, _who, isServed) => ({ path: await keyOfShop(world, isServed) }) },
  ],

  "POST /api/v1/events": [
    {
      // A key stores in its own project, whichever that is.
      refusal: (who) =>
        who.kind === "key"
          ? may("events:write", "events:write")(who)
          : inShop({ from: "editor", or: "events:write", hidden: "PROJECT_NOT_FOUND" })(who),
      request: (world, who) => ({
        path: "/api/v1/events",
        body: { type: "a", ...(who.kind === "user" ? { projectId: world.shop } : {}) },
      }),
    },
  ],
  "GET /api/v1/events": [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: ofUsers((world) => `projectId=${world.shop}`, "/api/v1/events"),
    },
  ],
  "GET /api/v1/events/export": [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: ofUsers((world) => `projectId=${world.shop}`, "/api/v1/events/export"),
    },
  ],
  "GET /api/v1/events/:id": [
    {
      refusal: inShop({ ...readEvents, hidden: "EVENT_NOT_FOUND" }),
      request: inWorld((world) => `/api/v1/events/${world.event}`),
    },
  ],
  "POST /api/v1/events/:id/reprocess": [
    {
      refusal: (who) => may("jobs:manage")(who) ?? inShop({ ...readEvents, hidden: "EVENT_NOT_FOUND" })(who),
      request: inWorld((world) => `/api/v1/events/${world.event}/reprocess`, {}),
    },
  ],
  "GET /api/v1/realtime/:projectId/sse": [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: (world) => ({ path: `/api/v1/realtime/${world.shop}/sse`, method: "HEAD" }),
    },
  ],

  "GET /api/v1/rules": [
    {
      refusal: inShop({ ...readRules, hidden: "PROJECT_NOT_FOUND" }),
      request: inWorld((world) => `/api/v1/rules?projectId=${world.shop}`),
    },
  ],
  "POST /api/v1/rules": [
    {
      refusal: inShop({ ...writeRules, hidden: "PROJECT_NOT_FOUND" }),
      request: (world) => ({ path: "/api/v1/rules", body: { ...NEW_RULE, active: false, projectId: world.shop } }),
    },
    {
      // For every project: the permission alone is not enough.
      refusal: (who) => may("rules:write")(who) ?? may("projects:all")(who),
      request: at("/api/v1/rules", { ...NEW_RULE, active: false }),
    },
  ],
  "POST /api/v1/rules/test": [
    {
      refusal: (who) =>
        who.kind === "user" && (who.member === "editor" || who.member === "owner") ? null : may("rules:read")(who),
      request: at("/api/v1/rules/test", { condition: CONDITION, event: { type: "a" } }),
    },
  ],
  "GET /api/v1/rules/:id": [{ refusal: seeRule, request: inWorld(rule) }],
  "GET /api/v1/rules/:id/versions": [{ refusal: seeRule, request: inWorld((world) => `${rule(world)}/versions`) }],
  "GET /api/v1/rules/:id/stats": [{ refusal: seeRule, request: inWorld((world) => `${rule(world)}/stats`) }],
  "PUT /api/v1/rules/:id": [{ refusal: changeRule, request: inWorld(rule, { name: "again" }) }],
  "PATCH /api/v1/rules/:id": [{ refusal: changeRule, request: inWorld(rule, { name: "again" }) }],
  "DELETE /api/v1/rules/:id": [
    {
      refusal: changeRule,
      request: async (world, _who, isServed) => ({
        path: isServed ? `/api/v1/rules/${await makeRule(world.prism, world.shop)}` : rule(world),
      }),
    },
  ],

  "GET /api/v1/notifications": [
    { refusal: anyUser, request: at("/api/v1/notifications") },
    {
      refusal: readersOfAll(NO_ROLE),
      request: inWorld((world) => `/api/v1/notifications?userId=${world.keeper}`),
    },
  ],
  "POST /api/v1/notifications": [
    {
      // A key reaches the members of its project, and the keeper is one of the shop's.
      refusal: (who) =>
        may("notifications:send", "notifications:send")(who) ??
        (who.kind === "key" && !who.isOfShop ? [422, "RECIPIENT_NOT_FOUND"] : null),
      request: (world, who) => ({
        path: "/api/v1/notifications",
        body: { ...NOTE, userId: who.kind === "user" ? "me" : world.keeper },
      }),
    },
  ],
  "GET /api/v1/notifications/user/:userId": [
    { refusal: anyUser, request: at("/api/v1/notifications/user/me") },
    {
      refusal: readersOfAll([404, "USER_NOT_FOUND"]),
      request: inWorld((world) => `/api/v1/notifications/user/${world.keeper}`),
    },
  ],
  "GET /api/v1/notifications/missed": [{ refusal: anyUser, request: at("/api/v1/notifications/missed") }],
  "GET /api/v1/notifications/unread-count": [{ refusal: anyUser, request: at("/api/v1/notifications/unread-count") }],
  "POST /api/v1/notifications/read-all": [{ refusal: anyUser, request: at("/api/v1/notifications/read-all", {}) }],
  "GET /api/v1/notifications/:id": [
    { refusal: readersOfAll([404, "NOTIFICATION_NOT_FOUND"]), request: inWorld(notification) },
  ],
  "PATCH /api/v1/notifications/:id/read": [
    { refusal: nobodyElses, request: inWorld((world) => `${notification(world)}/read`) },
  ],
  "PUT /api/v1/notifications/:id/acknowledge": [
    { refusal: nobodyElses, request: inWorld((world) => `${notification(world)}/acknowledge`, {}) },
  ],
  "POST /api/v1/notifications/:id/webview-action": [
    { refusal: nobodyElses, request: inWorld((world) => `${notification(world)}/webview-action`, {}) },
  ],
  "DELETE /api/v1/notifications/:id": [{ refusal: nobodyElses, request: inWorld(notification) }],

  "POST /api/v1/time/trigger": [{ refusal: may("timers:create"), request: at("/api/v1/time/trigger", TIMER) }],

  "GET /api/v1/audit": [{ refusal: may("audit:read"), request: at("/api/v1/audit") }],
  "GET /api/v1/audit/verify": [{ refusal: may("audit:read"), request: at("/api/v1/audit/verify") }],
  "GET /api/v1/audit/export": [{ refusal: may("audit:export"), request: at("/api/v1/audit/export") }],
};

/** The same for WebSocket upgrades (5.2, 5.3): what they answer in place of 101. */
export const UPGRADES: readonly { readonly path: (world: AccessWorld) => string; readonly refusal: Rule }[] = [
  { path: () => "/ws", refusal: () => null },
  ...["", "/api/v1"].map((prefix) => ({
    path: ({ shop: id }: AccessWorld) => `${prefix}/realtime/${id}`,
    refusal: (who: Known): Refusal | null =>
      who.kind === "key" && !who.isOfShop
        ? [404, "PROJECT_NOT_FOUND"]
        : inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" })(who),
  })),
];
