import {
  type BadRequest,
  INVALID,
  JSON_TYPE,
  MALFORMED,
  type Outcome,
  RequestMaker,
  randomFrom,
  type Target,
} from "./bad-request.ts";

type Kind =
  | "string"
  | "text"
  | "integer"
  | "signed integer"
  | "boolean"
  | "list"
  | "object"
  | "time"
  | "nullable text"
  | "nullable object";

/** A value of each JSON type, and some that look like another. */
const VALUES: readonly (readonly [string, unknown, readonly Kind[]])[] = [
  ["null", null, ["nullable text", "nullable object"]],
  ["true", true, ["boolean"]],
  ["a number", 7, ["integer", "signed integer"]],
  ["a fraction", 1.5, []],
  ["a number below zero", -1, ["signed integer"]],
  ["a number beyond 2^53", 1e300, []],
  ["a text", "a", ["string", "text", "nullable text"]],
  ["an empty text", "", ["string"]],
  ["a long text", "x".repeat(20_000), []],
  ["a list", ["me"], ["list"]],
  ["an empty list", [], []],
  ["a list of lists", [["me"]], []],
  ["an object", { type: "a" }, ["object", "nullable object"]],
];

interface Shape {
  readonly route: readonly [string, string];
  /** Served as it is. */
  readonly good: Readonly<Record<string, unknown>>;
  readonly members: Readonly<Record<string, Kind>>;
}

const shapes = ({ project, rule }: Target): readonly Shape[] => [
  {
    route: ["POST", "/api/v1/events"],
    good: { type: "a" },
    members: {
      type: "text",
      payload: "object",
      source: "nullable text",
      id: "time",
      occurredAt: "time",
      level: "time",
    },
  },
  {
    route: ["POST", "/api/v1/rules"],
    good: { name: "n", condition: "event.type == 'never'", targetRoles: ["Admin"] },
    members: {
      name: "text",
      description: "string",
      targetUsers: "list",
      channels: "time",
      titleTemplate: "nullable text",
      messageTemplate: "nullable text",
      sound: "time",
      action: "nullable object",
      priority: "signed integer",
      active: "boolean",
    },
  },
  {
    route: ["PATCH", `/api/v1/rules/${rule}`],
    good: {},
    members: { name: "text", priority: "signed integer", active: "boolean", channels: "time" },
  },
  {
    route: ["POST", "/api/v1/notifications"],
    good: { userId: "me", title: "t", message: "m" },
    members: {
      title: "text",
      message: "text",
      action: "nullable object",
      data: "nullable object",
      priority: "integer",
      channels: "time",
      dedupeKey: "text",
    },
  },
  {
    route: ["POST", "/api/v1/time/trigger"],
    good: { label: "l", delayMs: 31_536_000_000, action: { type: "event", event: "later" } },
    members: { label: "text", delayMs: "integer", action: "time", dedupeKey: "text" },
  },
  {
    route: ["POST", "/api/v1/projects"],
    good: { name: "n" },
    members: { name: "text", slug: "text", settings: "object" },
  },
  {
    route: ["POST", `/api/v1/projects/${project}/keys`],
    good: {},
    members: { name: "text", scopes: "time", expiresAt: "time", rateLimit: "integer" },
  },
  {
    route: ["POST", `/api/v1/projects/${project}/members`],
    good: { userId: "me", role: "owner" },
    members: { role: "time" },
  },
];

/**
 * What a member takes besides the values of its kind. A `time` takes none: its form is neither text
 * nor number alone.
 */
const SPECIAL: Readonly<Record<string, readonly string[]>> = {
  source: ["an empty text"],
  // The rule has roles.
  targetUsers: ["an empty list"],
  // A sound that is named is looked for, and a null takes it away.
  sound: ["null", "a text"],
};

/** Each member of each body with a value of every type that it cannot have. */
function wrongMembers(make: RequestMaker): BadRequest[] {
  const requests: BadRequest[] = [];
  for (const { route, good, members } of shapes(make.target)) {
    const label = `${route[0]} ${route[1].replace(/[0-9a-f-]{36}/, ":id")}`;
    for (const [member, kind] of Object.entries(members)) {
      for (const [name, value, kinds] of VALUES) {
        if (kinds.includes(kind) || SPECIAL[member]?.includes(name)) continue;
        requests.push(make.send(`${label}, ${member}: ${name}`, route, { ...good, [member]: value }, INVALID));
      }
    }
    if (route[1] !== "/api/v1/events")
      requests.push(make.send(`${label}, an unknown member`, route, { ...good, unknown: 1 }, INVALID));
  }
  return requests;
}

const LISTS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "/api/v1/events": {
    level: ["loud", "info,loud", ""],
    type: ["a,,b"],
    from: ["yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00"],
    to: ["1"],
    afterSeq: ["-1", "1.5", "x", "99999999999999999"],
    processed: ["yes", "1", "TRUE"],
  },
  "/api/v1/rules": { active: ["1", "yes"], sort: ["condition", "--name", "name,createdAt"] },
  "/api/v1/notifications": { status: ["new", "unread,read"], after: ["-1", "x"], from: ["now"] },
  "/api/v1/notifications/missed": { ack: ["1"], since: ["yesterday"], limit: ["101"] },
  "/api/v1/audit": { action: ["RULE.CREATE", "rule.create;", "*"], from: ["x"] },
  "/api/v1/events/export": { format: ["xml", "CSV"], from: ["x"] },
  "/api/v1/projects": {},
};

/** Lists that are paged take these, and each of them refuses the same. */
const PAGED = ["/api/v1/events", "/api/v1/rules", "/api/v1/notifications", "/api/v1/audit", "/api/v1/projects"];
const PAGES: readonly (readonly [string, Outcome])[] = [
  ["limit=0", INVALID],
  ["limit=-1", INVALID],
  ["limit=1001", INVALID],
  ["limit=1e2", INVALID],
  ["limit=", INVALID],
  ["page=0", INVALID],
  ["page=x", INVALID],
  ["offset=100001", INVALID],
  ["page=1&offset=0", INVALID],
  ["page=1&cursor=WzFd", INVALID],
  ["limit=1&limit=2", INVALID],
  ["unknown=1", INVALID],
  ["__proto__=1", INVALID],
  ["constructor=1", INVALID],
  ["limit=%ff", INVALID],
  ["limit=%zz", INVALID],
  ["%00=1", INVALID],
  ["cursor=!", INVALID],
  [`cursor=${"a".repeat(513)}`, INVALID],
  ["cursor=nonsense", { status: 400, code: "INVALID_CURSOR" }],
  ["cursor=e30", { status: 400, code: "INVALID_CURSOR" }],
  ["cursor=WyJhIiwiYiIsImMiXQ", { status: 400, code: "INVALID_CURSOR" }],
];

function wrongQueries(make: RequestMaker): BadRequest[] {
  const own = Object.entries(LISTS).flatMap(([path, members]) =>
    Object.entries(members).flatMap(([name, values]) =>
      values.map((value) => make.plain(`GET ${path}?${name}=${value}`, "GET", `${path}?${name}=${value}`, INVALID)),
    ),
  );
  const paged = PAGED.flatMap((path) =>
    PAGES.map(([query, outcome]) =>
      make.plain(`GET ${path}?${query.slice(0, 40)}`, "GET", `${path}?${query}`, outcome),
    ),
  );
  return [...own, ...paged];
}

const RESOURCES: readonly (readonly [string, string, string])[] = [
  ["GET", "/api/v1/events/:id", "EVENT_NOT_FOUND"],
  ["POST", "/api/v1/events/:id/reprocess", "EVENT_NOT_FOUND"],
  ["GET", "/api/v1/rules/:id", "RULE_NOT_FOUND"],
  ["PATCH", "/api/v1/rules/:id", "RULE_NOT_FOUND"],
  ["DELETE", "/api/v1/rules/:id", "RULE_NOT_FOUND"],
  ["GET", "/api/v1/rules/:id/stats", "RULE_NOT_FOUND"],
  ["GET", "/api/v1/notifications/:id", "NOTIFICATION_NOT_FOUND"],
  ["PATCH", "/api/v1/notifications/:id/read", "NOTIFICATION_NOT_FOUND"],
  ["DELETE", "/api/v1/notifications/:id", "NOTIFICATION_NOT_FOUND"],
  ["GET", "/notifications/:id", "USER_NOT_FOUND"],
  ["GET", "/api/v1/projects/:id", "PROJECT_NOT_FOUND"],
  ["DELETE", "/api/v1/projects/:id", "PROJECT_NOT_FOUND"],
  ["DELETE", "/api/v1/projects/default/keys/:id", "API_KEY_NOT_FOUND"],
  ["DELETE", "/api/v1/projects/default/members/:id", "USER_NOT_FOUND"],
  ["GET", "/realtime/:id/sse", "PROJECT_NOT_FOUND"],
];

const IDS = [
  "none",
  "0",
  "-1",
  "0198c0de-0000-7000-8000-000000000000",
  "0198C0DE-0000-7000-8000-00000000000G",
  "%7B0198c0de-0000-7000-8000-000000000000%7D",
  "..",
  "%2e%2e%2fetc",
  "%00",
  "'%20or%201=1--",
  "__proto__",
  "constructor",
  "%F0%9F%92%A9",
  "%ED%95%9C",
  "a".repeat(4000),
];

function wrongIds(make: RequestMaker): BadRequest[] {
  return RESOURCES.flatMap(([method, path, code]) =>
    IDS.map((id) =>
      make.plain(`${method} ${path} of ${id.slice(0, 40)}`, method, path.replace(":id", id), { status: 404, code }),
    ),
  );
}

const PATHS = [
  "/health",
  "/metrics",
  "/openapi.json",
  "/docs",
  "/api/v1/events",
  "/api/v1/rules",
  "/api/v1/auth/sessions",
  "/ws",
];
const METHODS = ["PUT", "PROPFIND", "TRACE", "LOCK", "get", "X", "POST-"];

function wrongMethods(make: RequestMaker): BadRequest[] {
  return PATHS.flatMap((path) =>
    METHODS.map((method) => make.plain(`${method} ${path}`, method, path, { status: 405, code: "METHOD_NOT_ALLOWED" })),
  );
}

function wrongFields(make: RequestMaker): BadRequest[] {
  const event = { type: "a" };
  const route = ["POST", "/api/v1/events"] as const;
  const conflict: Outcome = { status: 412, code: "VERSION_CONFLICT" };
  return [
    ...["a b", "k".repeat(256), '""', "sch\u00f6n", "a, b"].map((key) =>
      make.send(`Idempotency-Key: ${key.slice(0, 20)}`, route, event, INVALID, [JSON_TYPE, `Idempotency-Key: ${key}`]),
    ),
    ...['"99"', 'W/"1"', "1", '"1', "x, y"].map((tag) =>
      make.send(`If-Match: ${tag}`, ["PATCH", `/api/v1/rules/${make.target.rule}`], { name: "n" }, conflict, [
        JSON_TYPE,
        `If-Match: ${tag}`,
      ]),
    ),
    make.send(
      "an event of no project",
      route,
      { ...event, projectId: "none" },
      { status: 404, code: "PROJECT_NOT_FOUND" },
    ),
    make.send("an event of the future", route, { ...event, occurredAt: "2999-01-01T00:00:00Z" }, INVALID),
    make.send(
      "a recipient nobody knows of in a project",
      ["POST", "/api/v1/rules/test"],
      { condition: "true" },
      INVALID,
    ),
    make.send(
      "a role nobody knows",
      ["POST", "/api/v1/rules"],
      { name: "n", condition: "true", targetRoles: ["Root"] },
      {
        status: 404,
        code: "ROLE_NOT_FOUND",
      },
    ),
    make.send(
      "a channel that is not served",
      ["POST", "/api/v1/notifications"],
      { userId: "me", title: "t", message: "m", channels: ["email"] },
      {
        status: 501,
        code: "NOT_CONFIGURED",
      },
    ),
    make.send(
      "a link that is script",
      ["POST", "/api/v1/notifications"],
      { userId: "me", title: "t", message: "m", action: { type: "o", url: "javascript:alert(1)" } },
      INVALID,
    ),
    make.send(
      "a scope that does not exist",
      ["POST", `/api/v1/projects/${make.target.project}/keys`],
      { scopes: ["root"] },
      INVALID,
    ),
    make.plain("the default project, deleted", "DELETE", "/api/v1/projects/default", {
      status: 409,
      code: "DEFAULT_PROJECT",
    }),
  ];
}

/**
 * Bodies truncated or changed at random positions, with a fixed seed; only those that are no longer
 * valid JSON.
 */
function damagedBodies(make: RequestMaker, count: number): BadRequest[] {
  const random = randomFrom(20_260_101);
  const good = JSON.stringify({
    name: "n",
    condition: "true",
    targetRoles: ["Admin"],
    action: { type: "o", n: [1, 2.5e3, null] },
  });
  const signs = ["{", "}", "[", "]", ",", ":", '"', "\\", "\u0001", "x", "-", "."];
  const pick = (below: number): number => Math.floor(random() * below);
  const found = new Map<string, BadRequest>();
  while (found.size < count) {
    const at = pick(good.length);
    const change = pick(3);
    const sign = signs[pick(signs.length)] ?? "";
    const tail = change === 0 ? "" : good.slice(change === 1 ? at + 1 : at);
    const text = good.slice(0, at) + (change === 0 ? "" : sign) + tail;
    if (text === "" || isJson(text) || found.has(text)) continue;
    found.set(text, make.send(`damaged at ${at}: ${text}`, ["POST", "/api/v1/rules"], text, MALFORMED));
  }
  return [...found.values()];
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Requests made from lists: every member, parameter, id and method that cannot be, and bodies
 * damaged by chance.
 */
export function generatedRequests(target: Target): BadRequest[] {
  const make = new RequestMaker(target);
  return [
    ...wrongMembers(make),
    ...wrongQueries(make),
    ...wrongIds(make),
    ...wrongMethods(make),
    ...wrongFields(make),
    ...damagedBodies(make, 100),
  ];
}
