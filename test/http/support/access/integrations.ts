import { randomUUID } from "node:crypto";
import { hashToken } from "../../../../src/core/crypto/tokens.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { type InProject, inShop, may, readEvents } from "./refusals.ts";
import { at, inWorld, open, type Refusal, type Row, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/integrations";
const write: InProject = { from: "owner", hidden: "INTEGRATION_NOT_FOUND" };
const { from } = readEvents;
const NEW = { kind: "pagerduty", name: "x" } as const;

/** With a new integration for each caller. */
const fresh =
  (rest: string, body?: unknown): Row["request"] =>
  async ({ prism, shop }: AccessWorld) => {
    const made = await prism.post<{ id: string }>(PATH, { ...NEW, name: uuidv7(), projectId: shop });
    await prism.parts.base.database.write((trx) =>
      trx.deleteFrom("integrations").where("id", "<>", made.body.id).execute(),
    );
    return { path: `${PATH}/${made.body.id}${rest}`, body };
  };

/** The path of a claim of a new key for each caller, as one is kept while the window is open. */
const claimPath = async ({ prism }: AccessWorld) => {
  const [id, key] = [uuidv7(), randomUUID()];
  const row = { id, claimId: id, hash: hashToken(key), prefix: "", at: 0, address: "", action: "close", alias: null };
  const kept = { message: null, body: "{}", bytes: 2, keptUntil: 1, outcome: null, assignedAt: null };
  await prism.parts.base.database.write((trx) =>
    trx
      .insertInto("integration_claims")
      .values({ ...row, ...kept, integrationId: null })
      .execute(),
  );
  return `${PATH}/claims/${id}`;
};

/** The key is in the body: Prism's credentials do not matter. */
const inBody = (path: string, body: object): Row[] => [
  { ...open(path), request: () => ({ path, body }), served: [400, "VALIDATION_FAILED"] },
];

const OPSGENIE: readonly (readonly [method: string, path: string])[] = [
  ["POST", ""],
  ["GET", ""],
  ["GET", "/count"],
  ["GET", "/requests/:requestId"],
  ["GET", "/:identifier"],
  ["GET", "/:identifier/notes"],
  ...["close", "acknowledge", "unacknowledge", "snooze", "notes", "tags"].map(
    (act) => ["POST", `/:identifier/${act}`] as const,
  ),
  ...["message", "description", "priority"].map((act) => ["PUT", `/:identifier/${act}`] as const),
  ["DELETE", "/:identifier/tags"],
  ["POST", "/:identifier/details"],
  ["DELETE", "/:identifier/details"],
];
const BESIDE_ALERTS: readonly (readonly [method: string, path: string])[] = [
  ["GET", "/v2/account"],
  ["POST", "/v2/integrations/authenticate"],
  ["GET", "/v2/schedules/:identifier/on-calls"],
];
const OPSGENIE_ROUTES = [...OPSGENIE.map(([method, path]) => [method, `/v2/alerts${path}`] as const), ...BESIDE_ALERTS];
const PAGERDUTY = ["/v2/enqueue", "/v2/change/enqueue", "/generic/2010-04-15/create_event.json"];

/** The paths of both protocols, each as often as it has methods. */
export const INTEGRATION_PATHS = [...PAGERDUTY, ...OPSGENIE_ROUTES.map(([, path]) => path)];

/** Only a key of an integration is accepted: without it even an Admin is refused. */
function keyed([method, path]: readonly [string, string]): [string, Row[]] {
  const target = path.replace(/:\w+/, "x");
  const refused: Refusal = [401, "UNAUTHENTICATED"];
  const request: Row["request"] = () => ({ path: target, ...(method === "GET" ? {} : { body: {} }) });
  return [`${method} ${path}`, [{ ...open(target), request, served: refused }]];
}

export const INTEGRATIONS: Table = {
  [`GET ${PATH}`]: [
    {
      refusal: inShop({ from, hidden: "PROJECT_NOT_FOUND" }),
      request: inWorld(({ shop }) => `${PATH}?projectId=${shop}`),
    },
  ],
  [`POST ${PATH}`]: [
    {
      refusal: inShop({ ...write, hidden: "PROJECT_NOT_FOUND" }),
      request: ({ shop }) => ({ path: PATH, body: { ...NEW, name: uuidv7(), projectId: shop } }),
    },
  ],
  [`GET ${PATH}/:id`]: [{ refusal: inShop({ from, hidden: "INTEGRATION_NOT_FOUND" }), request: fresh("") }],
  [`PATCH ${PATH}/:id`]: [{ refusal: inShop(write), request: fresh("", { labels: {} }) }],
  [`DELETE ${PATH}/:id`]: [{ refusal: inShop(write), request: fresh("") }],
  [`GET ${PATH}/claims`]: { refusal: may("projects:all"), request: at(`${PATH}/claims`) },
  [`POST ${PATH}/claims/window`]: {
    refusal: may("projects:all"),
    request: at(`${PATH}/claims/window`, { durationMs: 0 }),
  },
  [`POST ${PATH}/claims/:id`]: {
    refusal: (who) => may("projects:all")(who) ?? inShop(write)(who),
    request: async (world) => ({ path: await claimPath(world), body: { projectId: world.shop, name: uuidv7() } }),
  },
  [`DELETE ${PATH}/claims/:id`]: {
    refusal: may("projects:all"),
    request: async (world) => ({ path: await claimPath(world) }),
  },
  [`POST ${PATH}/:id/rotate`]: [{ refusal: inShop(write), request: fresh("/rotate", {}) }],
  ...Object.fromEntries(PAGERDUTY.map((path) => [`POST ${path}`, inBody(path, {})])),
  ...Object.fromEntries(OPSGENIE_ROUTES.map(keyed)),
};
