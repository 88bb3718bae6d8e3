import { inShop, may, readEvents } from "./refusals.ts";
import { at, inWorld, type Row, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

/** A key means its own project without saying so. */
const ofUsers =
  (query: (world: AccessWorld) => string, path: string): Row["request"] =>
  (world, who) => ({ path: who.kind === "user" || !who.isOfShop ? `${path}?${query(world)}` : path });

/** Contract 4.7. */
export const EVENTS: Table = {
  "POST /api/v1/events": [
    {
      // A key stores in its own project, whichever that is.
      refusal: (who) =>
        who.kind === "key"
          ? may("events:write", "events:write")(who)
          : inShop({ from: "editor", hidden: "PROJECT_NOT_FOUND" })(who),
      request: (world, who) => ({
        path: "/api/v1/events",
        body: { type: "a", ...(who.kind === "user" ? { projectId: world.shop } : {}) },
      }),
    },
    {
      // Both keys are of other projects.
      refusal: (who) =>
        may("events:write", "events:write")(who) ?? (who.kind === "key" ? [404, "PROJECT_NOT_FOUND"] : null),
      request: at("/api/v1/events", { type: "a", projectId: "default" }),
    },
  ],
  "GET /api/v1/events": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: ofUsers((world) => `projectId=${world.shop}`, "/api/v1/events"),
  },
  "GET /api/v1/events/stats": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: ofUsers((world) => `projectId=${world.shop}`, "/api/v1/events/stats"),
  },
  "GET /api/v1/events/export": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: ofUsers((world) => `projectId=${world.shop}`, "/api/v1/events/export"),
  },
  "GET /api/v1/events/paths": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: ofUsers((world) => `projectId=${world.shop}`, "/api/v1/events/paths"),
  },
  "GET /api/v1/events/:id": {
    refusal: inShop({ ...readEvents, hidden: "EVENT_NOT_FOUND" }),
    request: inWorld((world) => `/api/v1/events/${world.event}`),
  },
  "POST /api/v1/events/:id/reprocess": {
    refusal: (who) => may("jobs:manage")(who) ?? inShop({ ...readEvents, hidden: "EVENT_NOT_FOUND" })(who),
    request: inWorld((world) => `/api/v1/events/${world.event}/reprocess`, {}),
  },
};
