import { uuidv7 } from "../../../../src/core/ids.ts";
import { inShop, scoped } from "./refusals.ts";
import { open, type Refusal, type Row, type Table } from "./row.ts";

const PATH = "/api/v1/ntfy/topics";
const INVALID: Refusal = [400, "VALIDATION_FAILED"];
const MISSING: Refusal = [404, "NOT_FOUND"];

/**
 * A route of the protocol: its topics decide who may, see test/features/protocols/ntfy. Invalid credentials
 * are refused everywhere. A reserved topic is refused for every caller alike.
 */
function foreign(
  method: string,
  pattern: string,
  path: string,
  served: Refusal | null = INVALID,
  body?: unknown,
): [string, Row[]] {
  const row = { ...open(path), request: () => ({ path, body }), refusesInvalid: true } as const;
  return [`${method} /ntfy${pattern}`, [served === null ? row : { ...row, served }]];
}

/** Accounts are managed by Prism's own API. */
const ACCOUNTS: readonly (readonly [method: string, path: string])[] = [
  ...["GET", "POST", "PUT", "DELETE"].map((method) => [method, "/v1/users"] as const),
  ...["POST", "PUT", "DELETE"].map((method) => [method, "/v1/users/access"] as const),
  ...["POST", "DELETE"].map((method) => [method, "/v1/account"] as const),
  ["POST", "/v1/account/password"],
  ["PATCH", "/v1/account/settings"],
  ...["POST", "PATCH", "DELETE"].map((method) => [method, "/v1/account/subscription"] as const),
  ["POST", "/v1/account/reservation"],
];

const PROTOCOL: readonly [string, Row[]][] = [
  ...["POST", "PUT"].map((method) => foreign(method, "", "/ntfy", INVALID, [])),
  foreign("GET", "", "/ntfy", null),
  foreign("GET", "/:topic", "/ntfy/x", null),
  ...["POST", "PUT"].flatMap((method) => [
    foreign(method, "/:topic", "/ntfy/static", INVALID, {}),
    foreign(method, "/:topic/:action", "/ntfy/static/sequence", INVALID, {}),
  ]),
  foreign("GET", "/:topic/:action", "/ntfy/static/auth"),
  foreign("GET", "/:topics/ws", "/ntfy/x/ws"),
  foreign("DELETE", "/:topic/:action", "/ntfy/static/sequence"),
  foreign("PUT", "/:topic/:action/clear", "/ntfy/static/sequence/clear"),
  foreign("PUT", "/:topic/:action/read", "/ntfy/static/sequence/read"),
  foreign("GET", "/file/:name", "/ntfy/file/none.txt", MISSING),
  foreign("GET", "/config.js", "/ntfy/config.js", null),
  foreign("GET", "/_matrix/push/v1/notify", "/ntfy/_matrix/push/v1/notify", null),
  foreign("POST", "/_matrix/push/v1/notify", "/ntfy/_matrix/push/v1/notify", INVALID, {}),
  ...["health", "stats", "version", "config", "account"].map((name) =>
    foreign("GET", `/v1/${name}`, `/ntfy/v1/${name}`, null),
  ),
  ...["POST", "PATCH"].map((method) =>
    foreign(method, "/v1/account/token", "/ntfy/v1/account/token", INVALID, { label: 1 }),
  ),
  foreign("DELETE", "/v1/account/token", "/ntfy/v1/account/token"),
  ...ACCOUNTS.map(([method, path]) =>
    foreign(method, path, `/ntfy${path}`, MISSING, method === "GET" ? undefined : {}),
  ),
];

/** The paths of the protocol, each as often as it has methods. */
export const NTFY_PATHS = PROTOCOL.map(([key]) => key.split(" ")[1] ?? "");

const own = ["notifications:own"] as const;
const ACCESS = "/api/v1/ntfy/access";
const owners = scoped(["projects:create"], inShop({ from: "owner", hidden: "PROJECT_NOT_FOUND" }));

export const NTFY: Table = {
  ...Object.fromEntries(PROTOCOL),
  [`GET ${PATH}`]: [{ refusal: scoped(["events:read", ...own]), request: () => ({ path: PATH }) }],
  [`POST ${PATH}`]: [
    {
      refusal: scoped(["events:write", ...own]),
      request: () => ({ path: PATH, body: { name: uuidv7(), kind: "inbox" } }),
    },
  ],
  // The answer has the projects that the caller manages, and the caller's own rights.
  [`GET ${ACCESS}`]: [{ refusal: scoped(["projects:create", "events:read"]), request: () => ({ path: ACCESS }) }],
  [`PUT ${ACCESS}`]: [
    {
      // The keeper is a member.
      refusal: owners,
      request: ({ shop, keeper }) => ({
        path: ACCESS,
        body: { projectId: shop, user: keeper, topic: "x", permission: "read" },
      }),
    },
  ],
  [`DELETE ${ACCESS}`]: [
    {
      refusal: owners,
      request: ({ shop }) => ({ path: `${ACCESS}?projectId=${shop}&user=everyone&topic=none` }),
      served: MISSING,
    },
  ],
  [`DELETE ${PATH}/:name`]: [
    { refusal: scoped(["events:write", ...own]), request: () => ({ path: `${PATH}/none` }), served: MISSING },
  ],
};
