import { uuidv7 } from "../../../../src/core/ids.ts";
import type { Known } from "./known.ts";
import { holds, type InProject, inShop, NO_SCOPE, readEvents } from "./refusals.ts";
import { at, inWorld, open, type Row, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/heartbeats";
const write: InProject = { from: "editor", hidden: "HEARTBEAT_NOT_FOUND" };
const see = inShop({ ...readEvents, hidden: "HEARTBEAT_NOT_FOUND" });
const change = inShop(write);
const changeProject = inShop({ ...write, hidden: "PROJECT_NOT_FOUND" });

interface Made {
  readonly id: string;
  readonly pingUrl: string;
  readonly pushUrl: string;
  readonly badgeUrl: string;
}

async function made({ prism, shop }: AccessWorld): Promise<Made> {
  const { body } = await prism.post<Made>(PATH, { name: uuidv7(), projectId: shop });
  return body;
}

/** With a new heartbeat for each caller. */
const fresh =
  (path: (heartbeat: Made) => string, body?: unknown): Row["request"] =>
  async (world) => ({ path: path(await made(world)), body });

const pinged =
  (path: (heartbeat: Made) => string): Row["request"] =>
  async (world) => {
    const heartbeat = await made(world);
    await world.prism.post(new URL(heartbeat.pingUrl).pathname, "hello", { token: null });
    return { path: path(heartbeat) };
  };

const pathOf = (url: string): string => new URL(url).pathname;
const uuidOf = ({ pingUrl }: Made): string => pathOf(pingUrl).slice("/ping/".length);
const tokenOf = ({ pushUrl }: Made): string => pathOf(pushUrl).slice("/api/push/".length);

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
const everyone: Rule = () => null;

/** Ping URLs are credentials of their own. */
function pings(methods: readonly string[], path: string, request: Row["request"]): Table {
  return Object.fromEntries(
    methods.map((method) => [`${method} ${path}`, [{ isPublic: true, refusal: everyone, request }]]),
  );
}

const HEALTHCHECKS = "/healthchecks/api/v3";

/** In the project of a key, and the default project of a user, which each user may read. */
export const readChecks: Rule = (who) => {
  if (who.kind === "key") return who.scope === "events:read" || who.scope === "events:write" ? null : NO_SCOPE;
  return holds(who, "events:read") ? null : NO_SCOPE;
};
const writeChecks: Rule = (who) => {
  if (who.kind === "key") return who.scope === "events:write" ? null : NO_SCOPE;
  return holds(who, "heartbeats:write") ? null : NO_SCOPE;
};

/** A check of the caller's project. */
async function check(world: AccessWorld, who: Known): Promise<Made> {
  const { prism, shop } = world;
  if (who.kind !== "key") return (await prism.post<Made>(PATH, { name: uuidv7() })).body;
  if (who.isOfShop) return made(world);
  const { body } = await prism.get<{ data: { id: string; name: string }[] }>("/api/v1/projects?limit=100");
  const other = body.data.find(({ id, name }) => id !== shop && name === "other")?.id;
  return (await prism.post<Made>(PATH, { name: uuidv7(), projectId: other })).body;
}

const ofCheck =
  (rest: string, body?: unknown): Row["request"] =>
  async (world, who) => {
    const heartbeat = await check(world, who);
    if (rest.startsWith("/pings/")) await world.prism.post(pathOf(heartbeat.pingUrl), "hello", { token: null });
    if (rest === "/resume") await world.prism.post(`${PATH}/${heartbeat.id}/pause`, {});
    return { path: `${HEALTHCHECKS}/checks/${uuidOf(heartbeat)}${rest}`, body };
  };

/** The management API of Healthchecks. */
const CHECKS: Table = {
  [`GET ${HEALTHCHECKS}/checks`]: [{ refusal: readChecks, request: at(`${HEALTHCHECKS}/checks`) }],
  [`POST ${HEALTHCHECKS}/checks`]: [{ refusal: writeChecks, request: at(`${HEALTHCHECKS}/checks`, { name: "x" }) }],
  [`GET ${HEALTHCHECKS}/checks/:code`]: [{ refusal: readChecks, request: ofCheck("") }],
  [`POST ${HEALTHCHECKS}/checks/:code`]: [{ refusal: writeChecks, request: ofCheck("", { grace: 60 }) }],
  [`DELETE ${HEALTHCHECKS}/checks/:code`]: [{ refusal: writeChecks, request: ofCheck("") }],
  [`POST ${HEALTHCHECKS}/checks/:code/pause`]: [{ refusal: writeChecks, request: ofCheck("/pause", {}) }],
  [`POST ${HEALTHCHECKS}/checks/:code/resume`]: [{ refusal: writeChecks, request: ofCheck("/resume", {}) }],
  [`GET ${HEALTHCHECKS}/checks/:code/pings`]: [{ refusal: readChecks, request: ofCheck("/pings") }],
  [`GET ${HEALTHCHECKS}/checks/:code/pings/:n/body`]: [{ refusal: readChecks, request: ofCheck("/pings/1/body") }],
  [`GET ${HEALTHCHECKS}/checks/:code/flips`]: [{ refusal: readChecks, request: ofCheck("/flips") }],
  [`GET ${HEALTHCHECKS}/channels`]: [{ refusal: readChecks, request: at(`${HEALTHCHECKS}/channels`) }],
  [`GET ${HEALTHCHECKS}/badges`]: [{ refusal: readChecks, request: at(`${HEALTHCHECKS}/badges`) }],
  [`GET ${HEALTHCHECKS}/status`]: [open(`${HEALTHCHECKS}/status`)],
  "GET /projects/:project/metrics/": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: inWorld(({ shop }) => `/projects/${shop}/metrics/`),
  },
  // None of the callers' keys.
  "GET /projects/:project/metrics/:key": { ...open("/projects/none/metrics/none"), served: [401, "INVALID_API_KEY"] },
};

export const HEARTBEATS: Table = {
  [`GET ${PATH}`]: [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: inWorld(({ shop }) => `${PATH}?projectId=${shop}`),
    },
  ],
  [`POST ${PATH}`]: [
    { refusal: changeProject, request: ({ shop }) => ({ path: PATH, body: { name: uuidv7(), projectId: shop } }) },
  ],
  [`POST ${PATH}/preview`]: [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: ({ shop }) => ({ path: `${PATH}/preview`, body: { projectId: shop, schedule: "daily" } }),
    },
  ],
  [`GET ${PATH}/key`]: [{ refusal: changeProject, request: inWorld(({ shop }) => `${PATH}/key?projectId=${shop}`) }],
  [`POST ${PATH}/key/rotate`]: [
    { refusal: changeProject, request: ({ shop }) => ({ path: `${PATH}/key/rotate`, body: { projectId: shop } }) },
  ],
  [`GET ${PATH}/:id`]: [{ refusal: see, request: fresh(({ id }) => `${PATH}/${id}`) }],
  [`PATCH ${PATH}/:id`]: [{ refusal: change, request: fresh(({ id }) => `${PATH}/${id}`, { graceMs: 120_000 }) }],
  [`DELETE ${PATH}/:id`]: [{ refusal: change, request: fresh(({ id }) => `${PATH}/${id}`) }],
  [`POST ${PATH}/:id/pause`]: [{ refusal: change, request: fresh(({ id }) => `${PATH}/${id}/pause`, {}) }],
  [`POST ${PATH}/:id/rotate`]: [{ refusal: change, request: fresh(({ id }) => `${PATH}/${id}/rotate`, {}) }],
  [`POST ${PATH}/:id/resume`]: [
    {
      refusal: change,
      request: async (world) => {
        const { id } = await made(world);
        await world.prism.post(`${PATH}/${id}/pause`, {});
        return { path: `${PATH}/${id}/resume`, body: {} };
      },
    },
  ],
  [`GET ${PATH}/:id/pings`]: [{ refusal: see, request: pinged(({ id }) => `${PATH}/${id}/pings`) }],
  [`GET ${PATH}/:id/pings/:n/body`]: [{ refusal: see, request: pinged(({ id }) => `${PATH}/${id}/pings/1/body`) }],
  [`GET ${PATH}/:id/flips`]: [{ refusal: see, request: pinged(({ id }) => `${PATH}/${id}/flips`) }],
  ...CHECKS,
  ...pings(
    ["GET"],
    "/b/:states/:file",
    fresh(({ badgeUrl }) => pathOf(badgeUrl)),
  ),
  ...pings(["GET"], "/badge/:key/:file", async ({ prism, shop }) => {
    const { body } = await prism.post<Made>(`${PATH}/key/rotate`, { projectId: shop });
    return { path: pathOf(body.badgeUrl) };
  }),
  [`GET /badge/:key/:signature/:file`]: [
    // Signed for another tag.
    { ...open("/badge/none/none/none.svg"), served: [404, "NOT_FOUND"] },
  ],
  ...pings(
    METHODS,
    "/ping/:target",
    fresh(({ pingUrl }) => pathOf(pingUrl)),
  ),
  ...pings(
    METHODS,
    "/ping/:target/",
    fresh(({ pingUrl }) => `${pathOf(pingUrl)}/`),
  ),
  ...pings(
    METHODS,
    "/ping/:target/:slug",
    fresh(({ pingUrl }) => `${pathOf(pingUrl)}/start`),
  ),
  ...pings(METHODS, "/ping/:target/:slug/:action", async ({ prism, shop }) => {
    const { body } = await prism.post<{ pingKey: string }>(`${PATH}/key/rotate`, { projectId: shop });
    const slug = uuidv7();
    await prism.post(PATH, { name: slug, projectId: shop });
    return { path: `/ping/${body.pingKey}/${slug}/start` };
  }),
  ...pings(
    METHODS,
    "/api/push/:token",
    fresh((heartbeat) => `/api/push/${tokenOf(heartbeat)}`),
  ),
  ...pings(
    ["GET", "POST"],
    "/integrations/v1/:type/:token/heartbeat",
    fresh((heartbeat) => `/integrations/v1/webhook/${tokenOf(heartbeat)}/heartbeat/`),
  ),
  ...pings(
    ["POST"],
    "/api/v2/heartbeat/:uuid",
    fresh((heartbeat) => `/api/v2/heartbeat/${uuidOf(heartbeat)}`),
  ),
  ...Object.fromEntries(
    ["GET", "POST", "PUT"].map((method) => [
      `${method} /v2/heartbeats/:name/ping`,
      // None of the callers sends a ping key.
      [{ ...open("/v2/heartbeats/none/ping"), served: [401, ""] as const }],
    ]),
  ),
};
