import * as v from "valibot";
import { IDEMPOTENCY_ERRORS } from "../../../http/api/idempotency.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { holderOf, userOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import { handleDeliveries, type MessagesContext } from "./deliver.ts";
import { contentPlace, MESSAGE_SWEEPS } from "./queries.ts";
import * as s from "./schema.ts";
import * as service from "./service.ts";

const tag = "Messages";
const own = { tag, access: { tokenScopes: ["messages:own"] } } as const;
const reads = { tag, access: { tokenScopes: ["messages:own", "messages:read_all"] } } as const;
const PATH = "/api/v1/messages";

/** Delayed messages from one user to another. */
export const messagesFeature = feature("messages", {
  needs: ["runner", "jobControl", "jobs", "users", "realtime"],
  sealedColumns: [sealedColumn("messages", "content", contentPlace)],
  register: serve,
  sweeps: () => MESSAGE_SWEEPS,
});

function serve(server: FeatureServer, context: MessagesContext): void {
  const rate = new service.SendingRate(context);
  handleDeliveries(context);

  server.route({
    method: "POST",
    path: PATH,
    aliases: ["/messages", "/api/messages"],
    id: "sendMessage",
    summary: "Send a message to a user, now or later",
    tag,
    access: { permission: "messages:own" },
    body: s.SendMessage,
    status: 202,
    response: s.SentView,
    errors: ["RECIPIENT_NOT_FOUND", "OVERLOADED", ...IDEMPOTENCY_ERRORS],
    handle: (exchange, { body }) => service.sendMessage(context, rate, exchange, userOf(exchange), body),
  });
  server.route({
    method: "GET",
    path: PATH,
    aliases: ["/messages", "/api/messages"],
    id: "listMessages",
    summary: "List the caller's messages, latest due first; received ones once they are delivered",
    ...reads,
    query: s.ListMessages,
    response: () => pageOf(s.Message.View),
    errors: ["UNAUTHORIZED_ROLE", "INVALID_CURSOR", "USER_NOT_FOUND"],
    handle: (exchange, { query }) => service.listMessages(context, holderOf(exchange), query),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id`,
    aliases: ["/messages/:id"],
    id: "getMessage",
    summary: "Get a message that the caller sent or received",
    ...reads,
    params: s.Params,
    response: () => s.Message.View,
    errors: ["MESSAGE_NOT_FOUND"],
    handle: (exchange, { params }) => service.getMessage(context, holderOf(exchange), params.id),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id/status`,
    aliases: ["/messages/:id/status"],
    id: "getMessageStatus",
    summary: "Get the delivery status of a message and its history",
    ...reads,
    params: s.Params,
    response: s.StatusView,
    errors: ["MESSAGE_NOT_FOUND"],
    handle: (exchange, { params }) => service.messageStatus(context, holderOf(exchange), params.id),
  });
  server.route({
    method: "PATCH",
    path: `${PATH}/:id/read`,
    id: "markMessageRead",
    summary: "Mark a received message as read",
    ...own,
    params: s.Params,
    response: () => s.Message.View,
    errors: ["MESSAGE_NOT_FOUND"],
    handle: (exchange, { params }) => service.readMessage(context, holderOf(exchange), params.id),
  });
  server.route({
    method: "DELETE",
    path: `${PATH}/:id`,
    id: "cancelMessage",
    summary: "Cancel a message that the caller sent, until its delivery starts",
    returns: "The new status",
    ...own,
    params: s.Params,
    status: 200,
    response: v.object({ status: v.literal("cancelled") }),
    errors: ["MESSAGE_NOT_FOUND", "MESSAGE_NOT_CANCELLABLE"],
    handle: (exchange, { params }) => service.cancelMessage(context, holderOf(exchange), params.id),
  });
}
