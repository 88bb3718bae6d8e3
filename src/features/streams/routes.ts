import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { callerOf } from "../../http/caller-of.ts";
import { ANSWERS_LATER, route } from "../../http/route.ts";
import { object } from "../../http/shapes.ts";
import { serveEventStream } from "../../live/protocols/event-stream.ts";
import { parseFrom } from "../../live/protocols/parse-from.ts";
import { requireOrigin } from "../../live/protocols/upgrade.ts";
import type { Feature, FeatureServer } from "../../module/feature.ts";
import type { RealtimeContext, RealtimeOwn } from "./context.ts";
import { publishRoute } from "./publish-route.ts";
import { requireTicketFor } from "./realtime-access.ts";
import { ticketRoute } from "./ticket-route.ts";

const tag = "Realtime";

const StreamQuery = object({
  token: v.optional(
    v.pipe(v.string(), v.description("For clients that cannot set headers: access token, service token or API key")),
  ),
  ticket: v.optional(v.pipe(v.string(), v.description("In place of a token: from POST /api/v1/realtime/ticket"))),
  lastEventId: v.optional(v.string()),
  from: v.optional(v.string()),
});

/** Live streams over HTTP (contract 5.3). The WebSocket protocols stand on the socket itself, see src/realtime. */
export function realtimeFeature(own: RealtimeOwn): Feature {
  return {
    name: "realtime",
    version: "1.0.0",
    register: (server, { log, realtime }) => serve(server, { ...own, log, realtime }),
  };
}

function serve(server: FeatureServer, context: RealtimeContext): void {
  const { hub, realtimeAccess, connections, projects } = context;
  const log = context.log.namespace("realtime");
  server.route(ticketRoute(context));
  server.route(publishRoute(context));
  server.route(
    route({
      method: "GET",
      path: "/api/v1/realtime/:projectId/sse",
      aliases: ["/realtime/:projectId/sse"],
      summary: "The events of a project as server-sent events, resumable by Last-Event-ID",
      tag,
      access: { permission: "events:read", within: "project", keyScope: "events:read", queryToken: true },
      params: object({ projectId: v.string() }),
      query: StreamQuery,
      otherStatuses: [204],
      response: {
        contentType: "text/event-stream",
        description: "Items `id: <offset>`, `data: <event>`; `event: gap` and `event: auth_expired` are named",
      },
      errors: ["PROJECT_NOT_FOUND", "ORIGIN_REFUSED", "CHANNEL_FORBIDDEN"],
      handle(exchange, { params, query }) {
        requireOrigin(context, exchange);
        const principal = callerOf(exchange);
        // 204 is what makes an EventSource stay away (WHATWG HTML section 9.2.3); anything else may be tried again.
        if (projects.isGoneFor(principal, params.projectId)) return undefined;
        const projectId = projects.require(principal, params.projectId, "events:read");
        requireTicketFor(principal, { kind: "project", projectId });
        const from = parseFrom(exchange.header("last-event-id") || query.lastEventId || query.from);
        const parts = {
          hub: hub,
          access: realtimeAccess,
          connections: connections,
          clock: context.clock,
          log,
        };
        serveEventStream(parts, exchange, principal, { kind: "project", projectId }, from);
        return ANSWERS_LATER;
      },
    }),
  );

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
          throw new PrismError("UPGRADE_REQUIRED", "This path speaks WebSocket");
        },
      }),
    );
  }
}
