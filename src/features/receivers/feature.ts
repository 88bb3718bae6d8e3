import { sql } from "kysely";
import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { holderOf } from "../../http/access.ts";
import { versioned } from "../../http/route.ts";
import { pageOf } from "../../http/shapes.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import { sealedColumn } from "../../store/sealed-column.ts";
import { receiverRoutes } from "./door.ts";
import * as m from "./manage.ts";
import { Receiver } from "./receiver.ts";
import { receiverSealContext } from "./receivers.ts";
import * as s from "./schema.ts";
import * as t from "./try-requests.ts";

const PATH = "/api/v1/receivers";

/** URLs at which other programs deliver requests, and their log. */
export const receiversFeature = feature("receivers", {
  needs: [
    "alerts",
    "incidents",
    "receivers",
    "receiverPresets",
    "projects",
    "preparing",
    "mailIn",
    "outside",
    "receiverRules",
  ],
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
});

const tag = "Receivers";
const read = { tag, access: { permission: "events:read", within: "project" } } as const;
const write = { tag, access: { permission: "receivers:write", within: "project" } } as const;
const one = { path: `${PATH}/:id`, params: s.ReceiverParams };
const SETTING_ERRORS = ["NAME_TAKEN", "INVALID_CONDITION", "INVALID_TEMPLATE"] as const;

function serve(server: FeatureServer, context: m.ManageContext): void {
  server.route({
    ...read,
    method: "GET",
    path: PATH,
    id: "listReceivers",
    summary: "List the receivers of a project by name",
    query: s.ListReceivers,
    response: pageOf(Receiver.View),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => m.listReceivers(context, holderOf(exchange), query),
  });
  server.route({
    tag,
    access: { tokenScopes: ["events:read", "receivers:write"] },
    method: "GET",
    path: `${PATH}/presets`,
    id: "listReceiverPresets",
    summary: "List the presets: what can send to a receiver, and how it is set up",
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
    async handle(exchange, { body }) {
      const receiver = await m.createReceiver(context, holderOf(exchange), body);
      return versioned(receiver.version, receiver, { status: 201 });
    },
  });
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getReceiver",
    summary: "Get a receiver",
    response: Receiver.View,
    errors: ["RECEIVER_NOT_FOUND"],
    async handle(exchange, { params }) {
      const receiver = await m.getReceiver(context, holderOf(exchange), params.id);
      return versioned(receiver.version, receiver, { state: receiver.lastRequestAt ?? "" });
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
    response: Receiver.View,
    errors: ["RECEIVER_NOT_FOUND", "VERSION_CONFLICT", ...SETTING_ERRORS],
    async handle(exchange, { params, body }) {
      const ifMatch = exchange.header("if-match");
      const receiver = await m.updateReceiver(context, holderOf(exchange), params.id, ifMatch, body);
      return versioned(receiver.version, receiver);
    },
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
      summary: isActive ? "Take requests again" : "Refuse requests with 403 until it is resumed",
      response: Receiver.View,
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
    response: pageOf(s.RequestView),
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
