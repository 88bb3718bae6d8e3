import { makeIncident } from "./incidents.ts";
import { inShop, readEvents } from "./refusals.ts";
import { inWorld, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const { scope: _key, ...usersRead } = readEvents;
const hidden = "PROJECT_NOT_FOUND";
const of = (name: string) => inWorld(({ shop }) => `/api/v1/reports/${name}?project=${shop}`);

/** One that is there, if there is one: the routes before this one may have changed who gets alerts. */
async function anyIncident(world: AccessWorld): Promise<string> {
  const { db } = world.prism.services;
  const found = await db.read
    .selectFrom("incidents")
    .select("id")
    .where("projectId", "=", world.shop)
    .limit(1)
    .executeTakeFirst();
  return found?.id ?? makeIncident(world);
}

/** Reports of a project: keys read those that name no people. */
export const REPORTS: Table = {
  "GET /api/v1/reports/incidents": { refusal: inShop({ ...readEvents, hidden }), request: of("incidents") },
  "GET /api/v1/reports/noise": { refusal: inShop({ ...readEvents, hidden }), request: of("noise") },
  "GET /api/v1/reports/schedules": { refusal: inShop({ ...readEvents, hidden }), request: of("schedules") },
  "GET /api/v1/reports/people": { refusal: inShop({ ...usersRead, hidden }), request: of("people") },
  "GET /api/v1/incidents/:id/post-mortem": {
    refusal: inShop({ ...usersRead, hidden: "INCIDENT_NOT_FOUND" }),
    request: async (world) => ({ path: `/api/v1/incidents/${await anyIncident(world)}/post-mortem` }),
  },
};
