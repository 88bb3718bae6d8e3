import { uuidv7 } from "../../../../src/core/ids.ts";
import { notificationRow } from "../../../../src/store/commit/notification-row.ts";
import type { Known } from "./known.ts";
import { idOf } from "./makers.ts";
import { anyUser, type InProject, inShop, readEvents, scoped } from "./refusals.ts";
import { at, inWorld, type Row, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const INCIDENTS_PATH = "/api/v1/incidents";
const POLICIES_PATH = "/api/v1/policies";
const ROUTES_PATH = "/api/v1/routes";
const HIDDEN = "INCIDENT_NOT_FOUND";
const { scope: _key, ...usersRead } = readEvents;
const act: InProject = { from: "editor", hidden: HIDDEN };
const write: Omit<InProject, "hidden"> = { from: "owner" };

/** An open incident of the shop. */
export async function makeIncident({ prism, shop }: AccessWorld): Promise<string> {
  const { alerts } = prism.parts.offers;
  const key = uuidv7();
  const input = {
    projectId: shop,
    source: "api",
    sourceId: null,
    key: `api:${key}`,
    labels: { alertname: key },
  } as const;
  await alerts.submit([input]);
  const { id } = await prism.services.db.read
    .selectFrom("incidents")
    .select("id")
    .where("title", "=", key)
    .executeTakeFirstOrThrow();
  return id;
}

/** {@link makeIncident}, of which the caller was notified if the caller is a user. */
async function makePagedIncident(world: AccessWorld, who: Known): Promise<string> {
  const incidentId = await makeIncident(world);
  if (who.kind === "key" || who.id === "") return incidentId;
  const { db } = world.prism.services;
  const notice = { kind: "incident", projectId: world.shop, title: "t", message: "m", channels: null } as const;
  const row = notificationRow({ ...notice, createdAt: Date.now() });
  await db.write((trx) => world.prism.parts.offers.notify.store(row, [who.id], trx, { incidentId }));
  return incidentId;
}

const policyBody = (world: AccessWorld) => ({
  projectId: world.shop,
  name: uuidv7(),
  steps: [{ type: "notify", members: true }],
});
const makePolicy = (world: AccessWorld): Promise<string> => idOf(world.prism.post(POLICIES_PATH, policyBody(world)));

/** An incident that the action applies to. */
async function ready({ prism, keeper }: AccessWorld, id: string, action: string): Promise<string> {
  const { incidents } = prism.parts.offers;
  if (action === "unacknowledge") await incidents.acknowledge(id, { id: keeper, via: "api" });
  return id;
}

/** One row for a caller who was not notified, one for a caller who was. */
const onIncident = (action: string, body: (world: AccessWorld) => object = () => ({})): Row[] => [
  {
    refusal: inShop(act),
    request: async (world) => ({
      path: `${INCIDENTS_PATH}/${await ready(world, await makeIncident(world), action)}/${action}`,
      body: body(world),
    }),
  },
  {
    refusal: inShop({ ...act, from: "viewer" }),
    request: async (world, who) => ({
      path: `${INCIDENTS_PATH}/${await ready(world, await makePagedIncident(world, who), action)}/${action}`,
      body: body(world),
    }),
  },
];
/** Each incident has its own result, so that only keys and their like are refused as a whole. */
const onMany: Rule = anyUser;

const onPolicy = (rule: Omit<InProject, "hidden">, suffix = "", body?: unknown): Row => ({
  refusal: inShop({ ...rule, hidden: "POLICY_NOT_FOUND" }),
  request: async (world) => ({ path: `${POLICIES_PATH}/${await makePolicy(world)}${suffix}`, body }),
});
const ofShop = (rule: Omit<InProject, "hidden">, path: string, body?: unknown): Row => ({
  refusal: inShop({ ...rule, hidden: "PROJECT_NOT_FOUND" }),
  request: inWorld((world) => `${path}?projectId=${world.shop}`, body),
});

export const INCIDENTS: Table = {
  "GET /api/v1/incidents": ofShop(readEvents, INCIDENTS_PATH),
  "GET /api/v1/incidents/counts": ofShop(readEvents, `${INCIDENTS_PATH}/counts`),
  "GET /api/v1/incidents/:id": {
    refusal: inShop({ ...readEvents, hidden: HIDDEN }),
    request: async (world) => ({ path: `${INCIDENTS_PATH}/${await makeIncident(world)}` }),
  },
  "GET /api/v1/incidents/:id/earlier": {
    refusal: inShop({ ...readEvents, hidden: HIDDEN }),
    request: async (world) => ({ path: `${INCIDENTS_PATH}/${await makeIncident(world)}/earlier` }),
  },
  "POST /api/v1/incidents/acknowledge": {
    refusal: onMany,
    request: async (world) => ({ path: `${INCIDENTS_PATH}/acknowledge`, body: { ids: [await makeIncident(world)] } }),
  },
  "POST /api/v1/incidents/resolve": {
    refusal: onMany,
    request: async (world) => ({ path: `${INCIDENTS_PATH}/resolve`, body: { ids: [await makeIncident(world)] } }),
  },
  "POST /api/v1/incidents/:id/acknowledge": onIncident("acknowledge"),
  "POST /api/v1/incidents/:id/unacknowledge": onIncident("unacknowledge"),
  "POST /api/v1/incidents/:id/snooze": onIncident("snooze", () => ({ durationMs: 60_000 })),
  "POST /api/v1/incidents/:id/unsnooze": onIncident("unsnooze"),
  "POST /api/v1/incidents/:id/resolve": onIncident("resolve"),
  "POST /api/v1/incidents/:id/escalate": onIncident("escalate"),
  "POST /api/v1/incidents/:id/notes": onIncident("notes", () => ({ text: "seen" })),
  "POST /api/v1/incidents/:id/responders": onIncident("responders", ({ keeper }) => ({ users: [keeper] })),
  "POST /api/v1/incidents/:id/reassign": onIncident("reassign", ({ keeper }) => ({ users: [keeper] })),
  "POST /api/v1/incidents": {
    refusal: inShop({ ...act, hidden: "PROJECT_NOT_FOUND" }),
    request: ({ shop, keeper }) => ({
      path: INCIDENTS_PATH,
      body: { projectId: shop, title: "t", users: [keeper] },
    }),
  },
  "GET /api/v1/users/me/contact-rules": {
    refusal: scoped(["account:own"]),
    request: at("/api/v1/users/me/contact-rules"),
  },
  "PUT /api/v1/users/me/contact-rules": {
    refusal: scoped(["account:own"]),
    request: at("/api/v1/users/me/contact-rules", { high: [], low: [] }),
  },
  "GET /api/v1/policies": ofShop(usersRead, POLICIES_PATH),
  "POST /api/v1/policies": {
    refusal: inShop({ ...write, hidden: "PROJECT_NOT_FOUND" }),
    request: (world) => ({ path: POLICIES_PATH, body: policyBody(world) }),
  },
  "GET /api/v1/policies/warnings": ofShop(usersRead, `${POLICIES_PATH}/warnings`),
  "GET /api/v1/policies/:id": onPolicy(usersRead),
  "GET /api/v1/policies/:id/versions": onPolicy(usersRead, "/versions"),
  "PUT /api/v1/policies/:id": onPolicy(write, "", { repeat: 1 }),
  "PATCH /api/v1/policies/:id": onPolicy(write, "", { repeat: 1 }),
  "DELETE /api/v1/policies/:id": onPolicy(write),
  "GET /api/v1/routes": ofShop(usersRead, ROUTES_PATH),
  "GET /api/v1/routes/versions": ofShop(usersRead, `${ROUTES_PATH}/versions`),
  "GET /api/v1/routes/traffic": ofShop(usersRead, `${ROUTES_PATH}/traffic`),
  "PUT /api/v1/routes": ofShop(write, ROUTES_PATH, { route: { policy: "default" } }),
  "POST /api/v1/routes/import": ofShop(write, `${ROUTES_PATH}/import`, {
    routing: { route: { policy: "default" } },
    dryRun: true,
  }),
  "POST /api/v1/routes/test": ofShop(usersRead, `${ROUTES_PATH}/test`, { labels: { alertname: "A" } }),
};
