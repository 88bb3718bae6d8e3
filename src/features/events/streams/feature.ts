import * as v from "valibot";
import type { Principal } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Json } from "../../../core/text/json-text.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { IDEMPOTENCY_ERRORS } from "../../../http/api/idempotency.ts";
import { ANSWERS_LATER, Reply, type Route, route } from "../../../http/api/route.ts";
import { doc, example, jsonValue, object, queryBoolean, text } from "../../../http/api/shapes.ts";
import { callerOf, userOf } from "../../../http/server/access.ts";
import type { RealtimeAccess } from "../../../live/connections.ts";
import { type EventStreamParts, serveEventStream } from "../../../live/protocols/event-stream.ts";
import { requireOrigin } from "../../../live/protocols/upgrade.ts";
import {
  type LoggedStream,
  MAX_STREAM_LENGTH,
  type ProjectNames,
  resolveStreamName,
  type StreamEntry,
  type StreamRef,
  streamName,
} from "../../../live/stream.ts";
import { parseFrom } from "../../../live/subscription.ts";
import { type Context, type FeatureServer, feature } from "../../../module/feature.ts";
import { RealtimeTickets, realtimeAccess, requireTicketFor } from "./realtime-access.ts";
import { announceEntry, StreamService } from "./realtime-service.ts";
import { STREAM_SWEEPS } from "./retention.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly tickets: RealtimeTickets;
    readonly realtimeAccess: RealtimeAccess;
    readonly realtime: StreamService;
  }
}

type RealtimeContext = Context<"realtimeAccess" | "projects" | "tickets" | "realtime">;

/** The stream that a caller means. @throws CHANNEL_FORBIDDEN for what names none */
function requireStream(principal: Principal, name: string, projects: ProjectNames): StreamRef {
  const userId = principal.kind === "apiKey" ? null : principal.userId;
  const stream = resolveStreamName(name, { userId, projects });
  if (!stream) throw noSuchStream();
  return stream;
}

/** Also for existing streams, as on the socket: the answer does not reveal which ones exist. */
function noSuchStream(): PrismError {
  return new PrismError("CHANNEL_FORBIDDEN", "No such stream, or you may not use it");
}

const TicketBody = example(
  object({
    stream: v.optional(
      doc(
        v.pipe(v.string("must be a string"), v.maxLength(MAX_STREAM_LENGTH)),
        "Stream that the ticket opens, such as `user:me`; default: all streams of the caller",
      ),
    ),
  }),
  { stream: "user:me" },
);

/** `POST /realtime/ticket`: a credential for one live connection, for use in a URL. */
function ticketRoute({ realtimeAccess, tickets, projects }: RealtimeContext): Route {
  return route({
    method: "POST",
    path: "/api/v1/realtime/ticket",
    id: "createTicket",
    summary: "Create a ticket that opens one live connection as ?ticket=, within a minute",
    returns: "The ticket",
    tag: "Realtime",
    access: { anyKey: true, anyToken: true },
    body: TicketBody,
    status: 201,
    response: v.object({ ticket: v.string(), expiresAt: v.string() }),
    errors: ["CHANNEL_FORBIDDEN"],
    handle(exchange, { body }) {
      const principal = callerOf(exchange);
      // It would carry the operator's rights to the ports.
      if (principal.kind === "operator")
        throw new PrismError("FORBIDDEN", "The operator has no account, and the control socket needs no ticket");
      const stream = body.stream === undefined ? undefined : requireStream(principal, body.stream, projects);
      if (stream && realtimeAccess.check(principal, stream) !== "allowed") throw noSuchStream();
      const { ticket, expiresAt } = tickets.issue(principal, stream && streamName(stream));
      return { ticket, expiresAt: toRfc3339(expiresAt) };
    },
  });
}

const PublishBody = example(
  object({
    stream: doc(
      v.pipe(v.string("must be a string"), v.maxLength(MAX_STREAM_LENGTH)),
      "`channel:<name>` of the default project, or `channel:<projectId>/<name>`",
    ),
    type: doc(text(64, 1), "Type of the entry"),
    data: doc(jsonValue(65_536), "Any JSON, sent unchanged"),
  }),
  { stream: "channel:news", type: "shop.opened", data: { text: "The shop is open" } },
);

/** `POST /realtime/publish`: an entry of a channel, stored and sent to its followers. */
function publishRoute({ idempotency, projects, realtime, storage }: RealtimeContext): Route {
  /** @throws CHANNEL_FORBIDDEN for no channel, or one in which the caller may not publish */
  function channelOf(principal: Principal, name: string): LoggedStream {
    const stream = requireStream(principal, name, projects);
    if (stream.kind !== "channel") throw noSuchStream();
    const projectId = stream.projectId ?? projects.defaultId;
    if (!projects.exists(projectId) || !projects.has(principal, projectId, "realtime:publish")) throw noSuchStream();
    return stream;
  }

  return route({
    method: "POST",
    path: "/api/v1/realtime/publish",
    id: "publish",
    summary: "Publish to a channel; subscribers receive it live, or later by its offset",
    returns: "The offset of the entry",
    tag: "Realtime",
    access: { permission: "realtime:publish", keyScope: "realtime:publish" },
    body: PublishBody,
    status: 202,
    response: v.object({ offset: v.number() }),
    errors: ["CHANNEL_FORBIDDEN", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { body }) {
      const principal = callerOf(exchange);
      const stream = channelOf(principal, body.stream);
      return idempotency.run(exchange, principal, body, async (trx) => {
        storage.requireSpace();
        return new Reply(202, await realtime.publish(streamName(stream), body.type, body.data as Json, { trx }));
      });
    },
  });
}

const tag = "Realtime";

const StreamQuery = object({
  token: v.optional(doc(v.string(), "Access token, service token or API key, for clients that cannot set headers")),
  ticket: v.optional(doc(v.string(), "Ticket of `POST /api/v1/realtime/ticket` instead of a token")),
  lastEventId: v.optional(doc(v.string(), "Offset after which to resume, as the header `Last-Event-ID`")),
  from: v.optional(doc(v.string(), "Offset after which to start")),
});

const OwnStreamQuery = object({
  ...StreamQuery.entries,
  changes: v.optional(doc(queryBoolean, "Also changes of notifications, with their types as event names")),
});

/** `GET /notifications/stream`: the caller's notifications, for `curl -N` and `EventSource`. */
function ownStreamRoute(context: RealtimeContext, parts: EventStreamParts): Route {
  return route({
    method: "GET",
    path: "/api/v1/notifications/stream",
    id: "streamNotifications",
    summary: "Stream the caller's notifications as server-sent events; resume with Last-Event-ID",
    details: "A comment every 15 seconds keeps the connection open. Without a position it starts with new entries.",
    tag: "Notifications",
    access: { tokenScopes: ["notifications:own"], queryToken: true },
    query: OwnStreamQuery,
    response: {
      contentType: "text/event-stream",
      description:
        "Notifications as `id: <offset>` and `data: <notification>`; also `event: gap`, `event: auth_expired`",
    },
    errors: ["ORIGIN_REFUSED", "CHANNEL_FORBIDDEN"],
    handle(exchange, { query }) {
      requireOrigin(context, exchange);
      const principal = userOf(exchange);
      const stream = { kind: "user", userId: principal.userId } as const;
      requireTicketFor(principal, stream);
      const from = parseFrom(exchange.header("last-event-id") || query.lastEventId || query.from);
      const isNew = ({ type }: StreamEntry): boolean => type === "notification";
      serveEventStream(parts, exchange, principal, {
        stream,
        from,
        accepts: (entry) => query.changes === true || isNew(entry),
        nameOf: (entry) => (isNew(entry) ? undefined : entry.type),
      });
      return ANSWERS_LATER;
    },
  });
}

/** Live streams over HTTP (docs/realtime.md); WebSocket protocols are in src/live. */
export const realtimeFeature = feature("realtime", {
  needs: ["projects", "principals", "channelAuthorizers"],
  open: (context) => ({
    tickets: new RealtimeTickets(context.clock),
    realtimeAccess: realtimeAccess(context.principals, {
      projects: context.projects,
      authorizers: context.channelAuthorizers,
    }),
    realtime: new StreamService(context),
  }),
  effects: ({ hub, connections }) => ({
    entry: (entry) => announceEntry(hub, entry),
    "rights-changed": (change) => connections.noteRightsChanged(change),
  }),
  register: serve,
  sweeps: () => STREAM_SWEEPS,
});

function serve(server: FeatureServer, context: RealtimeContext): void {
  const { hub, realtimeAccess, connections, projects, clock } = context;
  const parts = { hub, access: realtimeAccess, connections, clock, log: context.log.namespace("realtime") };
  server.route(ticketRoute(context));
  server.route(publishRoute(context));
  server.route({
    method: "GET",
    path: "/api/v1/realtime/:projectId/sse",
    aliases: ["/realtime/:projectId/sse"],
    id: "streamEvents",
    summary: "Stream the events of a project as server-sent events; resume with Last-Event-ID",
    tag,
    access: { permission: "events:read", within: "project", keyScope: "events:read", queryToken: true },
    params: object({ projectId: doc(v.string(), "Id or slug of the project") }),
    query: StreamQuery,
    otherStatuses: [204],
    response: {
      contentType: "text/event-stream",
      description: "Events as `id: <offset>` and `data: <event>`; also `event: gap` and `event: auth_expired`",
    },
    errors: ["PROJECT_NOT_FOUND", "ORIGIN_REFUSED", "CHANNEL_FORBIDDEN"],
    handle(exchange, { params, query }) {
      requireOrigin(context, exchange);
      const principal = callerOf(exchange);
      // 204 is what makes an EventSource stay away (WHATWG HTML section 9.2.3); anything else may
      // be tried again.
      if (projects.isGoneFor(principal, params.projectId)) return undefined;
      const projectId = projects.require(principal, params.projectId, "events:read");
      requireTicketFor(principal, { kind: "project", projectId });
      const from = parseFrom(exchange.header("last-event-id") || query.lastEventId || query.from);
      serveEventStream(parts, exchange, principal, { stream: { kind: "project", projectId }, from });
      return ANSWERS_LATER;
    },
  });
  server.route(ownStreamRoute(context, parts));

  const isPusherServed = context.config.pusher.mode === "embedded";
  for (const [path, aliases] of [
    ["/ws", []],
    ["/ws/updates", []],
    ["/api/v1/realtime/:projectId", ["/realtime/:projectId"]],
    ...(isPusherServed ? [["/app/:key", []] as const] : []),
  ] as const) {
    server.route(
      route({
        method: "GET",
        path,
        aliases,
        summary: "A WebSocket; a plain request is refused",
        tag,
        access: "public",
        undocumented: true,
        errors: ["UPGRADE_REQUIRED"],
        handle() {
          throw new PrismError("UPGRADE_REQUIRED", "This path accepts WebSocket connections only");
        },
      }),
    );
  }
}
