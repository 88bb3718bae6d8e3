import { uuidv7 } from "../../../../src/core/ids.ts";
import { type InProject, inShop, readEvents, scoped } from "./refusals.ts";
import { at, inWorld, type Row, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/receivers";
const write: InProject = { from: "editor", hidden: "RECEIVER_NOT_FOUND" };
const { from } = readEvents;

interface Made {
  readonly id: string;
  readonly url: string;
}

async function made({ prism, shop }: AccessWorld): Promise<Made> {
  const { body } = await prism.post<Made>(PATH, { preset: "generic", name: uuidv7(), projectId: shop });
  await prism.parts.base.database.write((trx) => trx.deleteFrom("receivers").where("id", "<>", body.id).execute());
  return body;
}

/** With a new receiver for each caller. */
const fresh =
  (rest: string, body?: unknown): Row["request"] =>
  async (world) => ({ path: `${PATH}/${(await made(world)).id}${rest}`, body });

const everyone: Rule = () => null;

/** The URL is the credential. */
function door(method: string, path: string, suffix: string, served?: Row["served"]): [string, Row[]] {
  const request: Row["request"] = async (world) => {
    const { url } = await made(world);
    const { pathname } = new URL(url);
    const target = path.startsWith("/in/") ? `${pathname}${suffix}` : pathname.replace("/in/", suffix);
    return method === "GET" ? { path: `${target}?title=x` } : { path: target, body: { title: "x" } };
  };
  return [`${method} ${path}`, [{ isPublic: true, refusal: everyone, request, ...(served && { served }) }]];
}

/** The paths of the door, each as often as it has methods. */
export const DOOR_PATHS = [
  ...["/in/:token", "/in/:token", "/in/:token"],
  ...["/in/:token/:shape", "/in/:token/messages/:message"],
];

export const RECEIVERS: Table = {
  [`GET ${PATH}`]: [
    {
      refusal: inShop({ from, hidden: "PROJECT_NOT_FOUND" }),
      request: inWorld(({ shop }) => `${PATH}?projectId=${shop}`),
    },
  ],
  [`POST ${PATH}`]: [
    {
      refusal: inShop({ ...write, hidden: "PROJECT_NOT_FOUND" }),
      request: ({ shop }) => ({ path: PATH, body: { preset: "generic", name: uuidv7(), projectId: shop } }),
    },
  ],
  [`GET ${PATH}/presets`]: [{ refusal: scoped(["events:read", "receivers:write"]), request: at(`${PATH}/presets`) }],
  [`GET ${PATH}/:id`]: [{ refusal: inShop({ from, hidden: "RECEIVER_NOT_FOUND" }), request: fresh("") }],
  [`PATCH ${PATH}/:id`]: [{ refusal: inShop(write), request: fresh("", { labels: {} }) }],
  [`DELETE ${PATH}/:id`]: [{ refusal: inShop(write), request: fresh("") }],
  [`POST ${PATH}/:id/rotate`]: [{ refusal: inShop(write), request: fresh("/rotate", {}) }],
  [`POST ${PATH}/:id/pause`]: [{ refusal: inShop(write), request: fresh("/pause") }],
  [`POST ${PATH}/:id/resume`]: [{ refusal: inShop(write), request: fresh("/resume") }],
  [`GET ${PATH}/:id/requests`]: [{ refusal: inShop(write), request: fresh("/requests") }],
  [`POST ${PATH}/:id/test`]: [{ refusal: inShop(write), request: fresh("/test", {}) }],
  [`POST ${PATH}/:id/requests/:requestId/replay`]: [
    {
      refusal: inShop(write),
      request: async (world) => {
        const { id, url } = await made(world);
        await world.prism.post(new URL(url).pathname, { title: "x" }, { token: null });
        const { body } = await world.prism.get<{ data: { id: string }[] }>(`${PATH}/${id}/requests`);
        return { path: `${PATH}/${id}/requests/${body.data[0]?.id}/replay` };
      },
    },
  ],
  ...Object.fromEntries([
    door("POST", "/in/:token", ""),
    door("PUT", "/in/:token", ""),
    door("GET", "/in/:token", ""),
    // Only at a receiver of Discord's form.
    door("POST", "/in/:token/:shape", "/slack", [404, "NOT_FOUND"]),
    door("PATCH", "/in/:token/messages/:message", "/messages/1"),
    door("POST", "/integrations/v1/:type/:token", "/integrations/v1/webhook/"),
    door("GET", "/integrations/v1/:type/:token", "/integrations/v1/webhook/"),
  ]),
};
