import { sql } from "kysely";
import * as v from "valibot";
import { route } from "../../http/api/route.ts";
import { holderOf } from "../../http/server/access.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import { sealedColumn } from "../../store/sealed-column.ts";
import { type ButtonsContext, buttonRoutes } from "./buttons.ts";
import { channels, common, PATH } from "./manage.ts";
import { openServiceChannels, type ServiceChannels } from "./open.ts";
import * as s from "./schema.ts";
import { type ChannelsApi, originOfChannel } from "./service.ts";
import { CHANNEL_SWEEPS, channelSealContext, endChannels, refSealContext, type SealedFields } from "./store.ts";
import { ChannelTester } from "./tester.ts";

type ChannelsOwn = ChannelsApi & ButtonsContext;

declare module "../../module/feature.ts" {
  interface Offers {
    readonly serviceChannels: ServiceChannels;
    readonly channelManagement: ChannelsApi;
    originOfChannel(channel: SealedFields): string | null;
  }
}

/** Management of channels to chat, push and paging services, and the buttons of their messages. */
export const channelsFeature = feature("channels", {
  needs: ["jobs", "runner", "notify", "pages", "channels", "projects", "users"],
  uses: ["policiesWithChannel", "incidents"],
  open(context, later) {
    const serviceChannels = openServiceChannels(context);
    const { projects, users, storage, idempotency } = context;
    const channelManagement: ChannelsApi = {
      ...{ ...serviceChannels.context, projects, users, storage, idempotency },
      policiesWith: async (trx, id) => (await later().policiesWithChannel(trx, id)).map(({ name }) => name),
    };
    return {
      serviceChannels,
      channelManagement,
      originOfChannel: (channel) => originOfChannel(channelManagement.box, channel),
    };
  },
  configKinds: async ({ channelManagement, projects, users }) => [
    (await import("./config-kind.ts")).channelsKind({ ...channelManagement, projects, users }),
  ],
  effects: ({ serviceChannels: { context } }) => ({
    "ways-changed"({ channelId, isDeleted }) {
      if (channelId === undefined) return;
      context.changed();
      if (isDeleted) context.sender.rates.forget(channelId);
    },
  }),
  sealedColumns: [
    sealedColumn("channels", "secrets", channelSealContext),
    sealedColumn("channel_messages", "ref", refSealContext, { where: sql`ref is not null` }),
  ],
  register: (server, { channelManagement, incidents }) =>
    serve(server, {
      ...channelManagement,
      acknowledgeIncident: (id, channelId, via) => incidents.acknowledge(id, { id: `channel:${channelId}`, via }),
    }),
  async onUserDeleted(trx, userId) {
    await trx.deleteFrom("channels").where("userId", "=", userId).execute();
  },
  onProjectDeleted: async (trx, projectId) => ({ resourceType: "channel", rows: await endChannels(trx, projectId) }),
  sweeps: () => CHANNEL_SWEEPS,
});

function serve(server: FeatureServer, context: ChannelsOwn): void {
  const tester = new ChannelTester(context);
  const presets = route({
    method: "GET",
    path: `${PATH}/presets`,
    id: "listChannelPresets",
    summary: "List the services to which channels can send",
    ...common,
    returns: "All presets",
    response: v.object({ presets: v.array(s.PresetView) }),
    handle: async () => ({ presets: (await context.book.list()).map(s.presetView) }),
  });
  const test = route({
    method: "POST",
    path: `${PATH}/:id/test`,
    id: "testChannel",
    summary: "Send a test message, or show its request",
    ...common,
    params: s.ChannelParams,
    body: s.TestChannel,
    response: s.TestResult,
    errors: ["CHANNEL_NOT_FOUND", "UNAUTHORIZED_ROLE", "OVERLOADED"],
    handle: (exchange, { params, body }) => tester.run(holderOf(exchange), params.id, body),
  });
  for (const each of [...channels.routes(context), presets, test, ...buttonRoutes(context)]) server.route(each);
}
