import { makeTimer } from "./makers.ts";
import { anyUser, may, ownersAnd, scoped } from "./refusals.ts";
import { at, inWorld, type Table } from "./row.ts";

const TIMERS = ["timers:create", "timers:any"];
const LATER = { label: "l", delayMs: 31_536_000_000 };
const notify = (userId: string) => ({ type: "notify", payload: { userId, title: "t", body: "b" } });
const DATETIME = "datetime=2026-01-31T08:00:00Z";

/** Contract 4.10. */
export const TIME: Table = {
  "GET /api/v1/time/now": { refusal: anyUser, request: at("/api/v1/time/now") },
  "GET /api/v1/time/convert": [
    { refusal: anyUser, request: at(`/api/v1/time/convert?${DATETIME}`) },
    {
      refusal: ownersAnd("users:read", "USER_NOT_FOUND"),
      request: inWorld((world) => `/api/v1/time/convert?${DATETIME}&userId=${world.keeper}`),
    },
  ],
  "POST /api/v1/time/trigger": [
    { refusal: may("timers:create"), request: at("/api/v1/time/trigger", { ...LATER, action: notify("me") }) },
    {
      refusal: (who) => may("timers:create")(who) ?? may("notifications:send")(who),
      request: ({ keeper }) => ({ path: "/api/v1/time/trigger", body: { ...LATER, action: notify(keeper) } }),
    },
    ...[
      { type: "event", event: "x" },
      { type: "message", channel: "c" },
    ].map((action) => ({
      refusal: (who: Parameters<typeof anyUser>[0]) => may("timers:create")(who) ?? may("events:emit")(who),
      request: at("/api/v1/time/trigger", { ...LATER, action }),
    })),
  ],
  "GET /api/v1/timers": { refusal: scoped(TIMERS), request: at("/api/v1/timers") },
  "DELETE /api/v1/timers/:jobId": {
    refusal: scoped(TIMERS, ownersAnd("timers:any", "JOB_NOT_FOUND")),
    request: async ({ prism, keeper }) => ({ path: `/api/v1/timers/${await makeTimer(prism, keeper)}` }),
  },
};
