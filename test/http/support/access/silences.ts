import { idOf } from "./makers.ts";
import { type InProject, inShop, NO_ROLE, readEvents } from "./refusals.ts";
import { inWorld, NO_ID, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/silences";
const HIDDEN = "SILENCE_NOT_FOUND";
const write: Omit<InProject, "hidden"> = { from: "editor", scope: "silences:write" };
const create = inShop({ ...write, hidden: "PROJECT_NOT_FOUND" });
const createBroad = inShop({ from: "owner", hidden: "PROJECT_NOT_FOUND" });
/** A key needs both scopes, and each of these has one. */
const broad: Rule = (who) => create(who) ?? (who.kind === "key" ? NO_ROLE : createBroad(who));

const body = (world: AccessWorld, more: object = {}) => ({
  projectId: world.shop,
  matchers: ['team="db"'],
  durationMs: 3_600_000,
  comment: "disks",
  ...more,
});

const makeSilence = (world: AccessWorld): Promise<string> => idOf(world.prism.post(PATH, body(world)));

export const SILENCES: Table = {
  "GET /api/v1/silences": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: inWorld((world) => `${PATH}?projectId=${world.shop}`),
  },
  "POST /api/v1/silences": [
    {
      refusal: create,
      request: (world) => ({ path: PATH, body: body(world) }),
    },
    {
      // It could hit any alert.
      refusal: broad,
      request: (world) => ({ path: PATH, body: body(world, { matchers: ['team=~".+"'] }) }),
    },
  ],
  "POST /api/v1/silences/preview": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: (world) => ({ path: `${PATH}/preview`, body: { projectId: world.shop, matchers: ['team="db"'] } }),
  },
  "GET /api/v1/silences/:id": [
    {
      refusal: inShop({ ...readEvents, hidden: HIDDEN }),
      request: async (world) => ({ path: `${PATH}/${await makeSilence(world)}` }),
    },
    {
      refusal: inShop({ ...readEvents, hidden: HIDDEN }),
      request: inWorld(() => `${PATH}/${NO_ID}`),
      served: [404, HIDDEN],
    },
  ],
  "PATCH /api/v1/silences/:id": {
    refusal: inShop({ ...write, hidden: HIDDEN }),
    request: async (world) => ({ path: `${PATH}/${await makeSilence(world)}`, body: { comment: "still" } }),
  },
  "DELETE /api/v1/silences/:id": {
    refusal: inShop({ ...write, hidden: HIDDEN }),
    request: async (world) => ({ path: `${PATH}/${await makeSilence(world)}` }),
  },
};
