import { idOf } from "./makers.ts";
import { inShop, may, readEvents } from "./refusals.ts";
import { at, inWorld, NO_ID, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/webhooks";
/** An IP address needs no name resolution, and nothing answers there. */
const URL = "https://1.1.1.1/hook";

const manage = may("webhooks:manage");
const managesOf =
  (hidden: string): Rule =>
  (who) =>
    manage(who) ?? inShop({ ...readEvents, hidden })(who);
const ofShop = managesOf("WEBHOOK_NOT_FOUND");

/** One of the shop's, where there are no others: a project may not have any number of them. */
async function makeWebhook({ prism, shop }: AccessWorld): Promise<string> {
  await prism.services.db.write((trx) => trx.deleteFrom("webhooks").execute());
  return idOf(prism.post(PATH, { url: URL, projectId: shop }));
}

const readAll = may("notifications:read_all");
const operate = may("jobs:manage");
const NO_DELIVERY = [404, "DELIVERY_NOT_FOUND"] as const;

/** Contract 4.12. */
export const WEBHOOKS: Table = {
  "GET /api/v1/deliveries": { refusal: readAll, request: at("/api/v1/deliveries") },
  "GET /api/v1/deliveries/:id": { refusal: readAll, request: at(`/api/v1/deliveries/${NO_ID}`), served: NO_DELIVERY },
  "POST /api/v1/deliveries/:id/retry": {
    refusal: operate,
    request: at(`/api/v1/deliveries/${NO_ID}/retry`),
    served: NO_DELIVERY,
  },
  "POST /api/v1/deliveries/preview": {
    refusal: readAll,
    request: at("/api/v1/deliveries/preview", { projectId: null, targetRoles: [], targetUsers: [], channels: [] }),
  },
  "POST /api/v1/deliveries/retry": {
    refusal: operate,
    request: at("/api/v1/deliveries/retry", { filter: {}, dryRun: true }),
  },
  "GET /api/v1/deliveries/channels": { refusal: may("system:status"), request: at("/api/v1/deliveries/channels") },
  "POST /api/v1/deliveries/channels/:name/resume": {
    refusal: operate,
    request: at("/api/v1/deliveries/channels/email/resume"),
  },
  "GET /api/v1/webhooks": [
    { refusal: (who) => manage(who) ?? may("projects:all")(who), request: at(`${PATH}?scope=all&include=result`) },
    { refusal: manage, request: at(PATH) },
    { refusal: managesOf("PROJECT_NOT_FOUND"), request: inWorld(({ shop }) => `${PATH}?projectId=${shop}`) },
  ],
  "POST /api/v1/webhooks": [
    { refusal: manage, request: at(PATH, { url: URL }) },
    {
      refusal: managesOf("PROJECT_NOT_FOUND"),
      request: ({ shop }) => ({ path: PATH, body: { url: URL, projectId: shop } }),
    },
  ],
  "GET /api/v1/webhooks/:id": [
    { refusal: ofShop, request: async (world) => ({ path: `${PATH}/${await makeWebhook(world)}` }) },
    { refusal: manage, request: at(`${PATH}/${NO_ID}`), served: [404, "WEBHOOK_NOT_FOUND"] },
  ],
  "PUT /api/v1/webhooks/:id": {
    refusal: ofShop,
    request: async (world) => ({ path: `${PATH}/${await makeWebhook(world)}`, body: {} }),
  },
  "DELETE /api/v1/webhooks/:id": {
    refusal: ofShop,
    request: async (world) => ({ path: `${PATH}/${await makeWebhook(world)}` }),
  },
  "POST /api/v1/webhooks/:id/test": {
    refusal: manage,
    request: at(`${PATH}/${NO_ID}/test`),
    served: [404, "WEBHOOK_NOT_FOUND"],
  },
};
