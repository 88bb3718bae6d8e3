import { sql } from "kysely";
import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { holderOf } from "../../../http/access.ts";
import { withVersion } from "../../../http/route.ts";
import { pageOf } from "../../../http/shapes.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import { receiverRoutes } from "./ingest-routes.ts";
import * as m from "./manage.ts";
import { Preparing } from "./preparing.ts";
import { Presets } from "./presets.ts";
import { Receiver } from "./receiver.ts";
import { Receivers, receiverSealContext } from "./receivers.ts";
import { ReceiverRequest } from "./request-log.ts";
import { RECEIVER_SWEEPS } from "./retention.ts";
import * as s from "./schema.ts";
import * as t from "./try-requests.ts";

const PATH = "/api/v1/receivers";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly receivers: Receivers;
    readonly receiverPresets: Presets;
    /** Reads what receivers are sent. */
    readonly preparing: Preparing;
  }
}

/** URLs at which other programs deliver requests, and their log. */
export const receiversFeature = feature("receivers", {
  needs: ["alerts", "incidents", "projects", "outside", "receiverRules"],
  uses: ["mailIn"],
  open(context) {
    const { config, log, work } = context;
    const receiverPresets = new Presets({ dataDir: config.dataDir, log: log.namespace("receivers") });
    return {
      receiverPresets,
      receivers: new Receivers({ ...context, receiverPresets }),
      preparing: new Preparing(work),
    };
  },
  effects: ({ receivers, receiverRules }) => ({
    "receivers-changed"(change) {
      receivers.changed(change);
      receiverRules.changed(change);
    },
  }),
  sealedColumns: [
    sealedColumn("receivers", "secret", (id) => receiverSealContext("secret", id), { where: sql`secret is not null` }),
    sealedColumn("receivers", "previousSecret", (id) => receiverSealContext("previousSecret", id), {
      where: sql`previousSecret is not null`,
    }),
  ],
  load({ receivers, receiverPresets }) {
    receivers.load();
    receiverPresets.reload();
  },
  reload({ receivers, receiverPresets }) {
    receiverPresets.reload();
    receivers.presetsChanged();
  },
  close: ({ preparing }) => preparing.stop(),
  register(server, given) {
    const { receiverPresets: presets, projects, mailIn } = given;
    const outside = given.outside();
    const context = {
      ...{ ...given, presets, storage: projects.storage },
      mailDomain: () => mailIn.domain,
      async fetchText(url: string) {
        const { status, body } = await outside.request(url, { method: "GET" });
        if (status !== 200) throw new PrismError("SIGNATURE_INVALID", `The sender's URL answers ${status}`);
        return body.toString("utf8");
      },
    };
    serve(server, context);
    serveRequests(server, context);
    for (const each of receiverRoutes(context)) server.route(each);
  },
  sweeps: () => RECEIVER_SWEEPS,
});

const tag = "Receivers";
const read = { tag, access: { permission: "events:read", within: "project" } } as const;
const write = { tag, access: { permission: "receivers:write", within: "project" } } as const;
const one = { path: `${PATH}/:id`, params: s.ReceiverParams };
const SETTING_ERRORS = ["NAME_TAKEN", "INVALID_CONDITION", "INVALID_TEMPLATE"] as const;

function serve(server: FeatureServer, context: m.ReceiverParts): void {
  server.route({
    ...read,
    method: "GET",
    path: PATH,
    id: "listReceivers",
    summary: "List the receivers of a project by name",
    query: s.ListReceivers,
    response: () => pageOf(Receiver.View),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => m.listReceivers(context, holderOf(exchange), query),
  });
  server.route({
    tag,
    access: { tokenScopes: ["events:read", "receivers:write"] },
    method: "GET",
    path: `${PATH}/presets`,
    id: "listReceiverPresets",
    summary: "List the presets: programs that can send to a receiver, and how to set them up",
    response: v.object({ data: v.array(s.PresetView) }),
    handle: async () => ({ data: Array.from((await context.presets.all()).values(), t.presetView) }),
  });
  server.route({
    ...write,
    method: "POST",
    path: PATH,
    id: "createReceiver",
    summary: "Create a receiver; the answer has its URL",
    body: s.CreateReceiver,
    status: 201,
    response: s.IssuedReceiver,
    errors: ["PROJECT_NOT_FOUND", "LIMIT_REACHED", ...SETTING_ERRORS],
    handle: async (exchange, { body }) =>
      withVersion(await m.createReceiver(context, holderOf(exchange), body), { status: 201 }),
  });
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getReceiver",
    summary: "Get a receiver",
    response: () => Receiver.View,
    errors: ["RECEIVER_NOT_FOUND"],
    async handle(exchange, { params }) {
      const receiver = await m.getReceiver(context, holderOf(exchange), params.id);
      return withVersion(receiver, { state: receiver.lastRequestAt ?? "" });
    },
  });
  server.route({
    ...write,
    ...one,
    method: "PATCH",
    id: "updateReceiver",
    summary: "Change a receiver; absent members keep their values",
    details: "`mapping`, `verify` and `secret` are replaced as a whole; null removes them.",
    body: s.UpdateReceiver,
    response: () => Receiver.View,
    errors: ["RECEIVER_NOT_FOUND", "VERSION_CONFLICT", ...SETTING_ERRORS],
    handle: async (exchange, { params, body }) =>
      withVersion(await m.updateReceiver(context, holderOf(exchange), params.id, exchange.header("if-match"), body)),
  });
  server.route({
    ...write,
    ...one,
    method: "DELETE",
    id: "deleteReceiver",
    summary: "Delete a receiver and its log; its events and alerts stay, its URL answers 404",
    errors: ["RECEIVER_NOT_FOUND"],
    handle: (exchange, { params }) => m.deleteReceiver(context, holderOf(exchange), params.id),
  });
  server.route({
    ...write,
    ...one,
    path: `${PATH}/:id/rotate`,
    method: "POST",
    id: "rotateReceiver",
    summary: "Replace the URL, or the secret if one is given; the old one works until the grace period ends",
    body: s.RotateReceiver,
    status: 201,
    response: s.RotatedReceiver,
    errors: ["RECEIVER_NOT_FOUND"],
    handle: (exchange, { params, body }) => m.rotateReceiver(context, holderOf(exchange), params.id, body),
  });
  for (const isActive of [false, true])
    server.route({
      ...write,
      ...one,
      path: `${PATH}/:id/${isActive ? "resume" : "pause"}`,
      method: "POST",
      id: isActive ? "resumeReceiver" : "pauseReceiver",
      summary: isActive ? "Accept requests again" : "Refuse requests with 403 until it is resumed",
      response: () => Receiver.View,
      errors: ["RECEIVER_NOT_FOUND"],
      handle: (exchange, { params }) => m.setActive(context, holderOf(exchange), params.id, isActive),
    });
}

/** The log of requests, trying and replaying them. */
function serveRequests(server: FeatureServer, context: t.TryContext): void {
  server.route({
    ...write,
    ...one,
    path: `${PATH}/:id/requests`,
    method: "GET",
    id: "listReceiverRequests",
    summary: "List the last 100 requests of a receiver, newest first, without secrets",
    query: s.ListRequests,
    response: () => pageOf(ReceiverRequest.View),
    errors: ["RECEIVER_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { params, query }) => t.listRequests(context, holderOf(exchange), params.id, query),
  });
  server.route({
    ...write,
    ...one,
    path: `${PATH}/:id/test`,
    method: "POST",
    id: "testReceiver",
    summary: "Show what a request would store, with the receiver's or another mapping; nothing is stored",
    body: s.TestReceiver,
    response: s.TestView,
    errors: [
      ...["RECEIVER_NOT_FOUND", "RECEIVER_REQUEST_NOT_FOUND", "MALFORMED_JSON"],
      ...["INVALID_CONDITION", "INVALID_TEMPLATE"],
    ] as const,
    handle: (exchange, { params, body }) => t.testReceiver(context, holderOf(exchange), params.id, body),
  });
  server.route({
    ...write,
    path: `${PATH}/:id/requests/:requestId/replay`,
    params: s.RequestParams,
    method: "POST",
    id: "replayReceiverRequest",
    summary: "Store a request of the log again, as if it arrived now",
    response: s.ReplayView,
    errors: ["RECEIVER_NOT_FOUND", "RECEIVER_REQUEST_NOT_FOUND", "INVALID_STATE", "MALFORMED_JSON"],
    handle: (exchange, { params }) => t.replayRequest(context, holderOf(exchange), params.id, params.requestId),
  });
}
