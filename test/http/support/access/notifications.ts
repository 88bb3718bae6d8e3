import type { Known } from "./known.ts";
import { makeTimer } from "./makers.ts";
import { holds, may, NO_KEYS, NO_SCOPE, ownersAnd, scoped } from "./refusals.ts";
import { at, inWorld, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const NOTE = { title: "t", message: "m" };
const notification = ({ notification: id }: AccessWorld): string => `/api/v1/notifications/${id}`;
/** As the jobs of this caller name who made them. */
function creatorIn({ prism, callers }: AccessWorld, who: Known): string {
  if (who.kind === "user") return who.id;
  const secret = callers.find((caller) => caller === who)?.headers["X-API-Key"] ?? "";
  return prism.parts.offers.principals.authenticate({ kind: "apiKey", secret }).key;
}

const isKeepersJob: Rule = (who) => {
  if (who.kind === "key" && who.scope !== "notifications:send") return NO_SCOPE;
  return holds(who, "jobs:manage") ? null : [404, "JOB_NOT_FOUND"];
};
const nobodyElses: Rule = (who) => (who.kind === "key" ? NO_KEYS : [404, "NOTIFICATION_NOT_FOUND"]);

const CALLING_OFF = ["notifications:send", "timers:create", "jobs:manage"];
const SCHEDULED = ["notifications:send", "timers:create", "jobs:read"];

const OWN = ["notifications:own"];
const OWN_OR_ALL = ["notifications:own", "notifications:read_all"];
const own = scoped(OWN);
const ownOrAll = scoped(OWN_OR_ALL);

/** Contract 4.9. */
export const NOTIFICATIONS: Table = {
  "GET /api/v1/notifications": [
    { refusal: ownOrAll, request: at("/api/v1/notifications") },
    {
      refusal: scoped(OWN_OR_ALL, may("notifications:read_all")),
      request: inWorld((world) => `/api/v1/notifications?userId=${world.keeper}`),
    },
  ],
  "POST /api/v1/notifications": {
    // A key reaches the members of its project, and the keeper is one of the shop's.
    refusal: (who) =>
      may("notifications:send", "notifications:send")(who) ??
      (who.kind === "key" && !who.isOfShop ? [422, "RECIPIENT_NOT_FOUND"] : null),
    request: (world, who) => ({
      path: "/api/v1/notifications",
      body: { ...NOTE, userId: who.kind === "user" ? "me" : world.keeper },
    }),
  },
  "GET /api/v1/notifications/all": { refusal: may("notifications:read_all"), request: at("/api/v1/notifications/all") },
  "GET /api/v1/notifications/:id/recipients": {
    refusal: may("notifications:read_all"),
    request: inWorld((world) => `${notification(world)}/recipients`),
  },
  "GET /api/v1/notifications/scheduled": { refusal: scoped(SCHEDULED), request: at("/api/v1/notifications/scheduled") },
  "DELETE /api/v1/notifications/scheduled/:jobId": [
    {
      refusal: scoped(CALLING_OFF, isKeepersJob),
      request: async ({ prism, keeper }) => ({
        path: `/api/v1/notifications/scheduled/${await makeTimer(prism, keeper)}`,
      }),
    },
    {
      refusal: scoped(CALLING_OFF, (who) =>
        who.kind === "key" && who.scope !== "notifications:send" ? NO_SCOPE : null,
      ),
      request: async (world, who) => ({
        path: `/api/v1/notifications/scheduled/${await makeTimer(world.prism, creatorIn(world, who))}`,
      }),
    },
  ],
  "GET /api/v1/notifications/user/:userId": [
    { refusal: ownOrAll, request: at("/api/v1/notifications/user/me") },
    {
      refusal: scoped(OWN_OR_ALL, ownersAnd("notifications:read_all", "USER_NOT_FOUND")),
      request: inWorld((world) => `/api/v1/notifications/user/${world.keeper}`),
    },
  ],
  "GET /api/v1/notifications/missed": { refusal: own, request: at("/api/v1/notifications/missed") },
  "GET /api/v1/notifications/stream": {
    refusal: own,
    request: () => ({ path: "/api/v1/notifications/stream", method: "HEAD" }),
  },
  "GET /api/v1/notifications/export": { refusal: ownOrAll, request: at("/api/v1/notifications/export") },
  "GET /api/v1/notifications/unread-count": { refusal: own, request: at("/api/v1/notifications/unread-count") },
  "POST /api/v1/notifications/read-all": { refusal: own, request: at("/api/v1/notifications/read-all", {}) },
  "GET /api/v1/notifications/:id": {
    refusal: scoped(OWN_OR_ALL, ownersAnd("notifications:read_all", "NOTIFICATION_NOT_FOUND")),
    request: inWorld(notification),
  },
  "PATCH /api/v1/notifications/:id/read": {
    refusal: scoped(OWN, nobodyElses),
    request: inWorld((world) => `${notification(world)}/read`),
  },
  "PUT /api/v1/notifications/:id/acknowledge": {
    refusal: scoped(OWN, nobodyElses),
    request: inWorld((world) => `${notification(world)}/acknowledge`, {}),
  },
  "POST /api/v1/notifications/:id/webview-action": {
    refusal: scoped(OWN, nobodyElses),
    request: inWorld((world) => `${notification(world)}/webview-action`, {}),
  },
  "DELETE /api/v1/notifications/:id": { refusal: scoped(OWN, nobodyElses), request: inWorld(notification) },
};
