import * as v from "valibot";
import { route } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { feature } from "../../../module/feature.ts";
import { deliveryFindings } from "../findings.ts";
import { type DeliveryServices, openDelivery } from "../open.ts";
import { DELIVERY_SWEEPS } from "../retention.ts";
import * as s from "./schema.ts";
import type { DeliveriesContext } from "./service.ts";
import * as service from "./service.ts";

const PATH = "/api/v1/deliveries";
const CHANNELS_PATH = "/api/v1/deliveries/channels";
const tag = "Deliveries";
const reads = { tag, access: { permission: "notifications:read_all" } } as const;
const acts = { tag, access: { permission: "jobs:manage" } } as const;

declare module "../../../module/feature.ts" {
  interface Offers extends DeliveryServices {}
}

/** Deliveries and channels for those who operate the server. */
export const deliveriesFeature = feature("deliveries", {
  needs: [
    "jobs",
    "runner",
    "jobControl",
    "workerLeases",
    "notify",
    "channels",
    "sounds",
    "pusher",
    "webPush",
    "projects",
  ],
  uses: ["rules", "eventAlerts"],
  findings: deliveryFindings,
  open: (context, later) => openDelivery(context, (event) => later().eventAlerts(event)),
  effects: ({ delivery, pages }) => ({
    "delivery-outcome"({ channel, state, latencyMs }) {
      if (latencyMs === undefined) delivery.results.count(channel, state);
      else delivery.results.delivered(channel, latencyMs);
    },
    "pages-changed": (change) => pages.changed(change),
    "turn-ended": ({ target, jobId }) => delivery.endTurn(target, jobId),
  }),
  register(server, context) {
    for (const each of routesOf(context)) server.route(each);
  },
  load: ({ pages, reader }) => pages.load(reader),
  dueWork: ({ pages }) => [pages.due],
  start: ({ pages }) => pages.start(),
  reload: ({ pages }) => pages.retryNow(() => true),
  stop: ({ pages }) => pages.stop(),
  sweeps: () => DELIVERY_SWEEPS,
});

function routesOf(context: DeliveriesContext) {
  return [
    route({
      ...reads,
      method: "GET",
      path: PATH,
      id: "listDeliveries",
      summary: "List deliveries by push, email, webhook and service, newest first",
      details: "A filtered page may hold fewer entries than the limit: `nextCursor` is null on the last one.",
      query: s.ListDeliveries,
      response: pageOf(s.DeliveryItem),
      errors: ["INVALID_CURSOR"],
      handle: (_exchange, { query }) => service.listDeliveries(context, query),
    }),
    route({
      ...reads,
      method: "POST",
      path: `${PATH}/preview`,
      id: "previewRecipients",
      summary: "Show who a rule would notify now and by which channels; nothing is stored",
      body: s.PreviewRecipients,
      response: s.RecipientsPreview,
      handle: (_exchange, { body }) => service.previewRecipients(context, body),
    }),
    route({
      ...acts,
      method: "POST",
      path: `${PATH}/retry`,
      id: "retryDeliveries",
      summary: "Retry the deliveries that a filter selects, now; with dryRun count them",
      details: "Waiting ones are attempted at once, dead and cancelled ones with all attempts of their queue.",
      body: s.RetryDeliveries,
      response: s.Retried,
      errors: ["OVERLOADED"],
      handle: (_exchange, { body }) => service.retryDeliveries(context, body),
    }),
    route({
      ...reads,
      method: "GET",
      path: `${PATH}/:id`,
      id: "getDelivery",
      summary: "Get a delivery with its attempts",
      params: s.DeliveryParams,
      response: s.DeliveryDetail,
      errors: ["DELIVERY_NOT_FOUND"],
      handle: (_exchange, { params }) => service.getDelivery(context, params.id),
    }),
    route({
      ...acts,
      method: "POST",
      path: `${PATH}/:id/retry`,
      id: "retryDelivery",
      summary: "Attempt a dead, cancelled or waiting delivery now",
      params: s.DeliveryParams,
      body: s.NoBody,
      response: v.object({ id: v.string(), state: s.DeliveryItem.entries.state }),
      errors: ["DELIVERY_NOT_FOUND", "INVALID_STATE", "OVERLOADED"],
      async handle(_exchange, { params }) {
        const { id, state } = await service.retryDelivery(context, params.id);
        return { id, state };
      },
    }),
    route({
      tag,
      access: { permission: "system:status" },
      method: "GET",
      path: CHANNELS_PATH,
      id: "listDeliveryChannels",
      summary: "List the outside channels, with their state and waiting deliveries",
      returns: "All channels",
      response: v.object({ channels: v.array(s.DeliveryChannelView) }),
      handle: async () => ({ channels: await service.listChannels(context) }),
    }),
    route({
      ...acts,
      method: "POST",
      path: `${CHANNELS_PATH}/:name/resume`,
      id: "resumeDeliveryChannel",
      summary: "End the pause of a channel and attempt the deliveries that wait for it",
      params: s.ChannelParams,
      body: s.ResumeChannel,
      response: s.Resumed,
      errors: ["CHANNEL_NOT_FOUND"],
      handle: (_exchange, { params, body }) => service.resumeChannel(context, params.name, body.target),
    }),
  ];
}
