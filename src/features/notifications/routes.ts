import * as v from "valibot";
import { callerOf, userOf } from "../../http/access.ts";
import { IDEMPOTENCY_ERRORS } from "../../http/idempotency.ts";
import { route } from "../../http/route.ts";
import { pageOf } from "../../http/shapes.ts";
import type { Feature, FeatureServer } from "../../module/feature.ts";
import * as actions from "./actions.ts";
import type { NotificationsContext, NotificationsOwn } from "./inbox.ts";
import * as inbox from "./inbox.ts";
import { NOTIFY_EVENT } from "./notifier.ts";
import * as s from "./schema.ts";
import { sendNotification } from "./send.ts";

const tag = "Notifications";
const PATH = "/api/v1/notifications";

/** Notifications of people: sending, listing, and what recipients do with them. */
export function notificationsFeature(own: NotificationsOwn): Feature {
  return {
    name: "notifications",
    version: "1.0.0",
    register: (server, { events, audit }) => serve(server, { ...own, events, audit }),
  };
}

function serve(server: FeatureServer, context: NotificationsContext): void {
  context.notify.inbox.provide({
    history: (userRef, page) => inbox.historyAsUser(context, userRef, page),
    markRead: (id, userRef, options) => actions.markReadAsUser(context, id, userRef, options),
  });

  // The bus event `notify` reaches a user.
  context.events.on(NOTIFY_EVENT, context.notify.onBus);

  server.route(
    route({
      method: "GET",
      path: PATH,
      summary: "Your notifications, newest first",
      tag,
      access: { tokenScopes: ["notifications:own", "notifications:read_all"] },
      query: s.ListQuery,
      response: pageOf(s.NotificationView),
      errors: ["INVALID_CURSOR", "USER_NOT_FOUND"],
      handle: (exchange, { query }) => inbox.listInbox(context, userOf(exchange), query),
    }),
  );
  server.route(
    route({
      method: "POST",
      path: PATH,
      summary: "Send a notification to people, now or (202) with sendAt or delayMs later",
      tag,
      access: { permission: "notifications:send", keyScope: "notifications:send" },
      body: s.SendBody,
      status: 201,
      otherStatuses: [202],
      response: v.union([s.NotificationView, s.ScheduledReply]),
      errors: ["RECIPIENT_NOT_FOUND", "SOUND_NOT_FOUND", "NOT_CONFIGURED", "LIMIT_REACHED", ...IDEMPOTENCY_ERRORS],
      handle: (exchange, { body }) => sendNotification(context, exchange, callerOf(exchange), body),
    }),
  );
  for (const scheduled of context.scheduledRoutes) server.route(scheduled);
  server.route(
    route({
      method: "GET",
      path: `${PATH}/user/:userId`,
      aliases: ["/notifications/:userId"],
      summary: "A user's notifications, newest first: your own, or anybody's with notifications:read_all",
      tag,
      access: { tokenScopes: ["notifications:own", "notifications:read_all"] },
      params: s.UserParams,
      query: s.HistoryQuery,
      response: pageOf(s.NotificationView),
      errors: ["USER_NOT_FOUND", "INVALID_CURSOR"],
      handle: (exchange, { params, query }) => inbox.userHistory(context, userOf(exchange), params.userId, query),
    }),
  );
  server.route(
    route({
      method: "GET",
      path: `${PATH}/missed`,
      summary: "What has not reached you, oldest first",
      tag,
      access: { tokenScopes: ["notifications:own"] },
      query: s.MissedQuery,
      response: pageOf(s.NotificationView),
      errors: ["INVALID_CURSOR"],
      handle: (exchange, { query }) => inbox.listMissed(context, userOf(exchange), query),
    }),
  );
  server.route(
    route({
      method: "GET",
      path: `${PATH}/unread-count`,
      summary: "How many of your notifications are unread",
      tag,
      access: { tokenScopes: ["notifications:own"] },
      response: v.object({ count: v.number(), unreadCount: v.number() }),
      handle: (exchange) => inbox.unreadCount(context, userOf(exchange)),
    }),
  );
  server.route(
    route({
      method: "POST",
      path: `${PATH}/read-all`,
      summary: "Mark your unread notifications read",
      tag,
      access: { tokenScopes: ["notifications:own"] },
      body: s.ReadAllBody,
      response: v.object({ updated: v.number() }),
      handle: (exchange, { body }) => actions.readAllNotifications(context, userOf(exchange), body.before),
    }),
  );
  server.route(
    route({
      method: "GET",
      path: `${PATH}/:id`,
      summary: "A notification, with your own deliveries of it by push, mail and webhook",
      tag,
      access: { tokenScopes: ["notifications:own", "notifications:read_all"] },
      params: s.Params,
      response: s.NotificationDetail,
      errors: ["NOTIFICATION_NOT_FOUND"],
      handle: (exchange, { params }) => inbox.getNotification(context, userOf(exchange), params.id),
    }),
  );
  server.route(
    route({
      method: "PATCH",
      path: `${PATH}/:id/read`,
      aliases: ["/notifications/:id/read"],
      summary: "Mark a notification read",
      tag,
      access: { tokenScopes: ["notifications:own"] },
      params: s.Params,
      response: s.NotificationView,
      errors: ["NOTIFICATION_NOT_FOUND"],
      handle: (exchange, { params }) => actions.markNotificationRead(context, userOf(exchange), params.id),
    }),
  );
  server.route(
    route({
      method: "PUT",
      path: `${PATH}/:id/acknowledge`,
      summary: "Acknowledge a notification; it is then read as well",
      tag,
      access: { tokenScopes: ["notifications:own"] },
      params: s.Params,
      body: s.AcknowledgeBody,
      response: s.NotificationView,
      errors: ["NOTIFICATION_NOT_FOUND"],
      handle: (exchange, { params, body }) =>
        actions.acknowledgeNotification(context, userOf(exchange), params.id, body.note),
    }),
  );
  server.route(
    route({
      method: "POST",
      path: `${PATH}/:id/webview-action`,
      summary: "Note that the app opened something from a notification",
      tag,
      access: { tokenScopes: ["notifications:own"] },
      params: s.Params,
      body: s.WebviewBody,
      status: 201,
      response: v.object({ logged: v.boolean() }),
      errors: ["NOTIFICATION_NOT_FOUND"],
      handle: (exchange, { params, body }) => actions.recordWebviewAction(context, userOf(exchange), params.id, body),
    }),
  );
  server.route(
    route({
      method: "DELETE",
      path: `${PATH}/:id`,
      summary: "Remove a notification from your own list",
      tag,
      access: { tokenScopes: ["notifications:own"] },
      params: s.Params,
      errors: ["NOTIFICATION_NOT_FOUND"],
      handle: (exchange, { params }) => actions.deleteNotification(context, userOf(exchange), params.id),
    }),
  );
}
