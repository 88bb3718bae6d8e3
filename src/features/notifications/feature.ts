import * as v from "valibot";
import { IDEMPOTENCY_ERRORS } from "../../http/api/idempotency.ts";
import { streamReply } from "../../http/api/replies.ts";
import { route } from "../../http/api/route.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { callerOf, holderOf, userOf } from "../../http/server/access.ts";
import { type FeatureServer, feature, type Uses } from "../../module/feature.ts";
import { TableHistory } from "../events/streams/index.ts";
import * as actions from "./actions.ts";
import * as all from "./all-notifications.ts";
import { Announcer, DeliveryMarks, handleRecipients } from "./announcer.ts";
import type { NotificationsContext } from "./inbox.ts";
import * as inbox from "./inbox.ts";
import { inboxChanges } from "./inbox-changes.ts";
import { NOTIFY_EVENT, Notifier } from "./notifier.ts";
import { notificationSweep, STORM_SWEEPS } from "./retention.ts";
import * as s from "./schema.ts";
import { eventJson, notificationView } from "./schema.ts";
import { sendNotification } from "./send.ts";
import { handleStorms } from "./storms.ts";

const tag = "Notifications";
const PATH = "/api/v1/notifications";
const mine = { tag, access: { tokenScopes: ["notifications:own"] } } as const;
const oneOfMine = { ...mine, params: s.Params, errors: ["NOTIFICATION_NOT_FOUND"] } as const;
const ofAnyone = { tag, access: { tokenScopes: ["notifications:own", "notifications:read_all"] } } as const;

declare module "../../module/feature.ts" {
  interface Offers {
    /** Publishes commits to live connections. */
    readonly announcer: Announcer;
    readonly notify: Notifier;
    /** Notifications that have reached a client. */
    readonly marks: DeliveryMarks;
    readonly streamHistory: TableHistory;
  }
}

/** Notifications of people: sending, listing, and what recipients do with them. */
export const notificationsFeature = feature("notifications", {
  needs: ["channels", "users", "sounds", "realtime", "jobs", "pipelineMetrics"],
  uses: ["incidents", "scheduledRoutes", "scheduling", "runner", "jobControl", "rules", "throttle", "receiverRules"],
  open(context, later) {
    const { db, committer, clock, reader, box, hub, pipelineMetrics, sounds } = context;
    const announcer = new Announcer(hub, pipelineMetrics, sounds.urlOf);
    return {
      announcer,
      notify: new Notifier({ ...context, announcer, later }),
      marks: new DeliveryMarks(db, committer, clock),
      streamHistory: new TableHistory(reader, box, {
        event: eventJson,
        notification: (row) =>
          JSON.stringify(notificationView(row, { ...row, delivered: row.recipientDelivered }, null, sounds.urlOf)),
      }),
    };
  },
  effects: ({ announcer }) => ({ notified: ({ notified }) => announcer.notifications(notified) }),
  register(server, context) {
    handleRecipients(context);
    handleStorms(context);
    serve(server, context);
  },
  sweeps: ({ settings }) => [...STORM_SWEEPS, notificationSweep(() => settings.retention.notificationDays)],
});

function serve(
  server: FeatureServer,
  context: NotificationsContext & Uses<"channels" | "notify" | "scheduledRoutes">,
): void {
  // The bus event `notify` reaches a user.
  context.events.on(NOTIFY_EVENT, context.notify.onBus);
  const changes = inboxChanges(context);

  const routes = [
    route({
      method: "GET",
      path: PATH,
      id: "listNotifications",
      summary: "List the caller's notifications, newest first",
      details:
        "A page of a search (`q`, `projectId`, `kind`, `minPriority`) may hold fewer entries than the limit: `nextCursor` is null on the last one.",
      ...ofAnyone,
      query: s.ListNotifications,
      response: pageOf(s.NotificationView),
      errors: ["INVALID_CURSOR", "USER_NOT_FOUND"],
      handle: (exchange, { query }) => inbox.listInbox(context, holderOf(exchange), query),
    }),
    route({
      method: "POST",
      path: PATH,
      id: "sendNotification",
      summary: "Send a notification to users, now (201) or later with sendAt or delayMs (202)",
      returns: "The notification, or the job that sends it later (202)",
      tag,
      access: { permission: "notifications:send", keyScope: "notifications:send" },
      body: s.SendNotification,
      status: 201,
      otherStatuses: [202],
      response: v.union([s.SentNotification, s.ScheduledReply]),
      errors: ["RECIPIENT_NOT_FOUND", "SOUND_NOT_FOUND", "NOT_CONFIGURED", "LIMIT_REACHED", ...IDEMPOTENCY_ERRORS],
      handle: (exchange, { body }) => sendNotification(context, exchange, callerOf(exchange), body),
    }),
    ...context.scheduledRoutes,
    route({
      method: "GET",
      path: `${PATH}/user/:userId`,
      aliases: ["/notifications/:id"],
      id: "listUserNotifications",
      details: "The segment `user` takes precedence over the id of a notification.",
      summary: "List a user's notifications, newest first; another user's with notifications:read_all",
      ...ofAnyone,
      params: s.UserParams,
      query: s.HistoryQuery,
      response: pageOf(s.NotificationView),
      errors: ["USER_NOT_FOUND", "INVALID_CURSOR"],
      handle: (exchange, { params, query }) => inbox.userHistory(context, holderOf(exchange), params.userId, query),
    }),
    route({
      method: "GET",
      path: `${PATH}/all`,
      id: "listAllNotifications",
      summary: "List the notifications of all users, each once with counts of its recipients, newest first",
      details: "A filtered page may hold fewer entries than the limit: `nextCursor` is null on the last one.",
      tag,
      access: { permission: "notifications:read_all" },
      query: all.ListAll,
      response: pageOf(all.NotificationSummary),
      errors: ["INVALID_CURSOR"],
      handle: (_exchange, { query }) => all.listAll(context.db, query),
    }),
    route({
      method: "GET",
      path: `${PATH}/missed`,
      id: "listMissedNotifications",
      summary: "List notifications that were not delivered to the caller, oldest first",
      ...mine,
      query: s.MissedQuery,
      response: pageOf(s.NotificationView),
      errors: ["INVALID_CURSOR"],
      handle: (exchange, { query }) => inbox.listMissed(context, userOf(exchange), query),
    }),
    route({
      method: "GET",
      path: `${PATH}/export`,
      id: "exportNotifications",
      summary: "Download the caller's notifications as NDJSON, oldest first; with notifications:read_all of all users",
      ...ofAnyone,
      query: s.ExportNotifications,
      response: { contentType: "application/x-ndjson", description: "One notification of one recipient per line" },
      handle: (exchange, { query }) =>
        streamReply(
          exchange,
          { contentType: "application/x-ndjson", filename: "notifications.ndjson" },
          inbox.exportNotifications(context, holderOf(exchange), query),
        ),
    }),
    route({
      method: "GET",
      path: `${PATH}/unread-count`,
      id: "countUnreadNotifications",
      summary: "Count the caller's unread notifications",
      returns: "The number of unread notifications",
      ...mine,
      response: v.object({ count: v.number(), unreadCount: v.number() }),
      handle: (exchange) => inbox.unreadCount(context, userOf(exchange)),
    }),
    route({
      method: "POST",
      path: `${PATH}/read-all`,
      id: "markAllNotificationsRead",
      summary: "Mark the caller's unread notifications as read",
      returns: "The number of changed notifications",
      ...mine,
      query: s.OnBehalfQuery,
      body: s.ReadAllBody,
      response: v.object({ updated: v.number() }),
      errors: ["USER_NOT_FOUND"],
      handle: (exchange, { query, body }) =>
        actions.readAllNotifications(context, holderOf(exchange), body, query.userId),
    }),
    route({
      method: "GET",
      path: `${PATH}/:id`,
      id: "getNotification",
      summary: "Get a notification with the caller's deliveries by push, email, webhook and service",
      ...ofAnyone,
      params: s.Params,
      response: s.NotificationDetail,
      errors: ["NOTIFICATION_NOT_FOUND"],
      handle: (exchange, { params }) => inbox.getNotification(context, holderOf(exchange), params.id),
    }),
    route({
      method: "GET",
      path: `${PATH}/:id/recipients`,
      id: "listNotificationRecipients",
      summary: "List the recipients of a notification, with their read and acknowledge times",
      tag,
      access: { permission: "notifications:read_all" },
      params: s.Params,
      query: all.ListRecipients,
      response: pageOf(all.RecipientState),
      errors: ["NOTIFICATION_NOT_FOUND", "INVALID_CURSOR"],
      handle: (_exchange, { params, query }) => all.listRecipients(context.db, params.id, query),
    }),
    route({
      method: "PATCH",
      path: `${PATH}/:id/read`,
      aliases: ["/notifications/:id/read"],
      id: "markNotificationRead",
      summary: "Mark a notification as read",
      ...oneOfMine,
      query: s.OnBehalfQuery,
      response: s.NotificationView,
      errors: ["NOTIFICATION_NOT_FOUND", "USER_NOT_FOUND"],
      handle: (exchange, { params, query }) =>
        actions.markNotificationRead(context, changes, holderOf(exchange), params.id, query.userId),
    }),
    route({
      method: "PUT",
      path: `${PATH}/:id/acknowledge`,
      id: "acknowledgeNotification",
      summary: "Acknowledge a notification; this also marks it as read",
      ...oneOfMine,
      query: s.OnBehalfQuery,
      body: s.AcknowledgeBody,
      response: s.NotificationView,
      errors: ["NOTIFICATION_NOT_FOUND", "USER_NOT_FOUND"],
      handle: (exchange, { params, query, body }) =>
        actions.acknowledgeNotification(context, changes, holderOf(exchange), params.id, body.note, query.userId),
    }),
    route({
      method: "POST",
      path: `${PATH}/:id/webview-action`,
      id: "recordWebviewAction",
      summary: "Record that the app opened a notification",
      returns: "Whether it was recorded",
      ...oneOfMine,
      body: s.WebviewBody,
      status: 201,
      response: v.object({ logged: v.boolean() }),
      handle: (exchange, { params, body }) => actions.recordWebviewAction(context, userOf(exchange), params.id, body),
    }),
    route({
      method: "DELETE",
      path: `${PATH}/:id`,
      id: "removeNotification",
      summary: "Remove a notification from the caller's list",
      ...oneOfMine,
      handle: (exchange, { params }) => actions.deleteNotification(context, userOf(exchange), params.id),
    }),
  ];
  for (const each of routes) server.route(each);
}
