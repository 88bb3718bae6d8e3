import { inShop, may, readEvents } from "./refusals.ts";
import { at, inWorld, NO_ID, open, type Row, type Rule, type Table } from "./row.ts";

const HIDDEN = "PROJECT_NOT_FOUND";
const LABELS = [{ labels: { alertname: "access" } }];
const SILENCE = {
  matchers: [{ name: "alertname", value: "access", isRegex: false }],
  startsAt: "2026-01-01T00:00:00Z",
  endsAt: "2099-01-01T00:00:00Z",
  createdBy: "access",
  comment: "",
};

/** A path of the default project, or a key's own, and the same path of the shop. */
function both(
  method: string,
  path: string,
  rules: { own: Rule; shop: Rule },
  body?: unknown,
  more?: Partial<Row>,
): Table {
  const filled = path.replace(":id", NO_ID);
  return {
    [`${method} /alertmanager${path}`]: [{ refusal: rules.own, request: at(`/alertmanager${filled}`, body), ...more }],
    [`${method} /alertmanager/:project${path}`]: [
      { refusal: rules.shop, request: inWorld((world) => `/alertmanager/${world.shop}${filled}`, body), ...more },
    ],
  };
}

/** The default project is read by events:read of a server role. */
const readDefault: Rule = may("events:read", "events:read");
const READ = { own: readDefault, shop: inShop({ ...readEvents, hidden: HIDDEN }) };
const POST = {
  own: may("events:write", "events:write"),
  shop: inShop({ from: "editor", scope: "events:write", hidden: HIDDEN }),
};
const SILENCES = {
  own: may("silences:write", "silences:write"),
  shop: inShop({ from: "editor", scope: "silences:write", hidden: HIDDEN }),
};
const NO_SUCH = { served: [404, ""] } as const;

const opened = (method: string, path: string, more: Partial<Row> = {}): Table =>
  Object.fromEntries(
    ["/alertmanager", "/alertmanager/:project"].map((base) => [
      `${method} ${base}${path}`,
      [{ ...open(`${base}${path}`.replace(":project", "shop").replace(":id", NO_ID)), ...more }],
    ]),
  );
const GONE = { served: [410, ""] } as const;

/** Alertmanager's API. */
export const ALERTMANAGER: Table = {
  ...both("GET", "/api/v2/status", READ),
  ...both("GET", "/api/v2/receivers", READ),
  ...both("GET", "/api/v2/alerts", READ),
  ...both("GET", "/api/v2/alerts/groups", READ),
  ...both("GET", "/api/v2/silences", READ),
  ...both("GET", "/api/v2/silence/:id", READ, undefined, NO_SUCH),
  ...both("GET", "/api/v2/swagger.json", READ),
  ...both("GET", "/metrics", READ),
  ...both("POST", "/api/v2/alerts", POST, LABELS),
  ...both("POST", "/api/v2/silences", SILENCES, SILENCE),
  ...both("DELETE", "/api/v2/silence/:id", SILENCES, undefined, NO_SUCH),
  ...opened("GET", "/-/healthy"),
  ...opened("GET", "/-/ready"),
  ...opened("GET", "/api/v1/status", GONE),
  ...opened("GET", "/api/v1/receivers", GONE),
  ...opened("GET", "/api/v1/alerts", GONE),
  ...opened("GET", "/api/v1/silences", GONE),
  ...opened("GET", "/api/v1/silence/:id", GONE),
  ...opened("POST", "/api/v1/alerts", GONE),
  ...opened("POST", "/api/v1/silences", GONE),
  ...opened("DELETE", "/api/v1/silence/:id", GONE),
};
