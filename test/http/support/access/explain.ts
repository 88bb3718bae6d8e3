import { makeIncident } from "./incidents.ts";
import { makeAlert } from "./makers.ts";
import { anyUser, holds, inShop, may, NO_ROLE, readEvents, scopedRows } from "./refusals.ts";
import { inWorld, type Rule, type Table } from "./row.ts";

const NO_EVENT = "EVENT_NOT_FOUND";
const seesEvent = inShop({ ...readEvents, hidden: NO_EVENT, refused: [404, NO_EVENT] });

const explainEvent: Rule = (who) => anyUser(who) ?? seesEvent(who) ?? may("notifications:read_all")(who);
const explainNotification: Rule = (who) => {
  if (!holds(who, "notifications:read_all")) return anyUser(who) ?? [404, "NOTIFICATION_NOT_FOUND"];
  return holds(who, "events:read") ? null : NO_ROLE;
};

/** Explain: the only recipient is the keeper, who calls nothing. */
const RECIPIENTS: Table = scopedRows(["notifications:own", "notifications:read_all"], {
  "GET /api/v1/explain/event/:id": {
    refusal: explainEvent,
    request: inWorld((world) => `/api/v1/explain/event/${world.event}`),
  },
  "GET /api/v1/explain/notification/:id": {
    refusal: explainNotification,
    request: inWorld((world) => `/api/v1/explain/notification/${world.notification}`),
  },
});

const { scope: _key, ...usersRead } = readEvents;

export const EXPLAIN: Table = {
  ...RECIPIENTS,
  "GET /api/v1/explain/incident/:id": {
    refusal: inShop({ ...usersRead, hidden: "INCIDENT_NOT_FOUND" }),
    request: async (world) => ({ path: `/api/v1/explain/incident/${await makeIncident(world)}` }),
  },
  "GET /api/v1/explain/alert/:id": {
    refusal: inShop({ ...usersRead, hidden: "ALERT_NOT_FOUND" }),
    request: async ({ prism, shop }) => ({ path: `/api/v1/explain/alert/${await makeAlert(prism, shop)}` }),
  },
  "POST /api/v1/explain/alert": {
    refusal: inShop({ ...usersRead, hidden: "PROJECT_NOT_FOUND" }),
    request: ({ shop }) => ({ path: "/api/v1/explain/alert", body: { projectId: shop, labels: { a: "b" } } }),
  },
  "POST /api/v1/explain/policy": {
    refusal: inShop({ ...usersRead, hidden: "PROJECT_NOT_FOUND" }),
    request: ({ shop }) => ({ path: "/api/v1/explain/policy", body: { projectId: shop, policy: "default" } }),
  },
};
