import { uuidv7 } from "../../../../src/core/ids.ts";
import { type InProject, inShop, readEvents } from "./refusals.ts";
import { inWorld, open, type Row, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/heartbeats";
const write: InProject = { from: "editor", or: "heartbeats:write", hidden: "HEARTBEAT_NOT_FOUND" };
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
    "/integrations/v1/:type/:token/heartbeat/",
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
