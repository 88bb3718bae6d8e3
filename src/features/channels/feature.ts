import { sql } from "kysely";
import * as v from "valibot";
import { route, versioned } from "../../http/api/route.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { stateOf } from "../../http/body/negotiation.ts";
import { holderOf } from "../../http/server/access.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import { sealedColumn } from "../../store/sealed-column.ts";
import { type ButtonsContext, buttonRoutes } from "./buttons.ts";
import { Channel, type ChannelRow, channelAccess } from "./channel.ts";
import { channelsOfImport } from "./import.ts";
import { openServiceChannels, type ServiceChannels } from "./open.ts";
import * as s from "./schema.ts";
import type { ChannelsApi } from "./service.ts";
import * as service from "./service.ts";
import { CHANNEL_SWEEPS, channelSealContext, endChannels, refSealContext } from "./store.ts";
import { ChannelTester } from "./tester.ts";

const PATH = "/api/v1/channels";
// The handler checks the project's permission, or that the channel is the caller's own.
const common = { tag: "Channels", access: { anyToken: true } } as const;
const one = { ...common, params: s.ChannelParams } as const;

type ChannelsOwn = ChannelsApi & ButtonsContext;

declare module "../../module/feature.ts" {
  interface Offers {
    readonly serviceChannels: ServiceChannels;
    readonly channelManagement: ChannelsApi;
    readonly channelsOfImport: ReturnType<typeof channelsOfImport>;
  }
}

/** Management of channels to chat, push and paging services, and the buttons of their messages. */
export const channelsFeature = feature("channels", {
  needs: ["jobs", "runner", "notify", "pages", "channels", "projects", "users"],
  uses: ["policiesWithChannel", "incidents"],
  open(context, later) {
    const serviceChannels = openServiceChannels(context);
    const { projects, users, storage } = context;
    const channelManagement: ChannelsApi = {
      ...{ ...serviceChannels.context, projects, users, storage },
      policiesWith: async (trx, id) => (await later().policiesWithChannel(trx, id)).map(({ name }) => name),
    };
    return { serviceChannels, channelManagement, channelsOfImport: channelsOfImport(channelManagement) };
  },
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

  const answer = <V extends s.ChannelView>(view: V, status = 200) => {
    const { version, failures, disabledAt, acceptedAt } = view;
    return versioned(version, view, { status, state: stateOf({ failures, disabledAt, acceptedAt }) });
  };
  const changed = async (row: ChannelRow, status = 200) => {
    const view = await service.viewOf(context, row);
    return answer({ ...view, warnings: s.channelWarnings(view) }, status);
  };

  const routes = [
    route({
      method: "GET",
      path: PATH,
      id: "listChannels",
      summary: "List the channels of the caller, of a project or of all, newest first",
      ...common,
      query: s.ListChannels,
      response: () => pageOf(Channel.View),
      errors: ["PROJECT_NOT_FOUND", "UNAUTHORIZED_ROLE", "INVALID_CURSOR"],
      handle: (exchange, { query }) => service.listChannels(context, holderOf(exchange), query),
    }),
    route({
      method: "POST",
      path: PATH,
      id: "createChannel",
      summary: "Create a channel of the caller or a project",
      ...common,
      body: s.CreateChannel,
      status: 201,
      response: s.ChangedChannel,
      errors: ["PROJECT_NOT_FOUND", "RECIPIENT_NOT_FOUND", "UNAUTHORIZED_ROLE", "URL_REFUSED", "LIMIT_REACHED"],
      handle: async (exchange, { body }) =>
        changed(await service.createChannel(context, holderOf(exchange), body), 201),
    }),
    route({
      method: "GET",
      path: `${PATH}/presets`,
      id: "listChannelPresets",
      summary: "List the services to which channels can send",
      ...common,
      returns: "All presets",
      response: v.object({ presets: v.array(s.PresetView) }),
      handle: async () => ({ presets: (await context.book.list()).map(s.presetView) }),
    }),
    route({
      method: "GET",
      path: `${PATH}/:id`,
      id: "getChannel",
      summary: "Get a channel, without its secrets",
      ...one,
      response: () => Channel.View,
      errors: ["CHANNEL_NOT_FOUND"],
      async handle(exchange, { params }) {
        const row = await channelAccess.visible(context.projects, holderOf(exchange), params.id, context.db.read);
        return answer(await service.viewOf(context, row));
      },
    }),
    route({
      method: "PATCH",
      path: `${PATH}/:id`,
      id: "updateChannel",
      summary: "Change a channel, or enable it again",
      ...one,
      body: s.UpdateChannel,
      response: s.ChangedChannel,
      errors: ["CHANNEL_NOT_FOUND", "UNAUTHORIZED_ROLE", "VERSION_CONFLICT", "URL_REFUSED"],
      handle: async (exchange, { params, body }) => {
        const ifMatch = exchange.header("if-match");
        return changed(await service.updateChannel(context, holderOf(exchange), params.id, ifMatch, body));
      },
    }),
    route({
      method: "DELETE",
      path: `${PATH}/:id`,
      id: "deleteChannel",
      summary: "Delete a channel with its pending deliveries",
      ...one,
      errors: ["CHANNEL_NOT_FOUND", "UNAUTHORIZED_ROLE", "CHANNEL_IN_USE"],
      handle: (exchange, { params }) => service.deleteChannel(context, holderOf(exchange), params.id),
    }),
    route({
      method: "POST",
      path: `${PATH}/:id/test`,
      id: "testChannel",
      summary: "Send a test message, or show its request",
      ...one,
      body: s.TestChannel,
      response: s.TestResult,
      errors: ["CHANNEL_NOT_FOUND", "UNAUTHORIZED_ROLE", "OVERLOADED"],
      handle: (exchange, { params, body }) => tester.run(holderOf(exchange), params.id, body),
    }),
  ];
  for (const each of [...routes, ...buttonRoutes(context)]) server.route(each);
}
