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
export const EXPLAIN: Table = scopedRows(["notifications:own", "notifications:read_all"], {
  "GET /api/v1/explain/event/:id": [
    { refusal: explainEvent, request: inWorld((world) => `/api/v1/explain/event/${world.event}`) },
  ],
  "GET /api/v1/explain/notification/:id": [
    { refusal: explainNotification, request: inWorld((world) => `/api/v1/explain/notification/${world.notification}`) },
  ],
});
