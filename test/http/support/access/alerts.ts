import { makeAlert } from "./makers.ts";
import { inShop, may, readEvents } from "./refusals.ts";
import type { Table } from "./row.ts";

const ALERTS_PATH = "/api/v1/alerts";
const NEW_ALERT = { labels: { alertname: "A" } };

/** Alerts are read as events are; who acts on incidents resolves them. */
export const ALERTS: Table = {
  "GET /api/v1/alerts": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: (world, who) => ({
      path: who.kind === "user" || !who.isOfShop ? `${ALERTS_PATH}?projectId=${world.shop}` : ALERTS_PATH,
    }),
  },
  "GET /api/v1/alerts/stats": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: (world, who) => ({
      path: `${ALERTS_PATH}/stats${who.kind === "user" || !who.isOfShop ? `?projectId=${world.shop}` : ""}`,
    }),
  },
  "POST /api/v1/alerts": {
    refusal: (who) =>
      who.kind === "key"
        ? may("events:write", "events:write")(who)
        : inShop({ from: "editor", hidden: "PROJECT_NOT_FOUND" })(who),
    request: (world, who) => ({
      path: ALERTS_PATH,
      body: { alerts: [NEW_ALERT], ...(who.kind === "user" ? { projectId: world.shop } : {}) },
    }),
  },
  "GET /api/v1/alerts/:id": {
    refusal: inShop({ ...readEvents, hidden: "ALERT_NOT_FOUND" }),
    request: async ({ prism, shop }) => ({ path: `${ALERTS_PATH}/${await makeAlert(prism, shop)}` }),
  },
  "POST /api/v1/alerts/:id/resolve": {
    refusal: inShop({ from: "editor", hidden: "ALERT_NOT_FOUND" }),
    request: async ({ prism, shop }) => ({ path: `${ALERTS_PATH}/${await makeAlert(prism, shop)}/resolve` }),
  },
};
