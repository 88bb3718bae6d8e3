import { holderOf } from "../../http/access.ts";
import type { Feature, FeatureServer } from "../../module/feature.ts";
import * as s from "./schema.ts";
import { type ExplainOwn, explainEvent, explainNotification } from "./service.ts";

const shared = {
  method: "GET",
  tag: "Explain",
  access: { tokenScopes: ["notifications:own", "notifications:read_all"] },
  params: s.Params,
  query: s.Query,
  response: s.ExplainView,
} as const;

/** Why a user was notified, or was not. */
export function explainFeature(own: ExplainOwn): Feature {
  return { name: "explain", version: "1.0.0", register: (server) => serve(server, own) };
}

function serve(server: FeatureServer, context: ExplainOwn): void {
  server.route({
    ...shared,
    path: "/api/v1/explain/event/:id",
    id: "explainEvent",
    summary: "Explain an event: rules, notifications, recipients, channels; recipients see their own part",
    errors: ["EVENT_NOT_FOUND", "USER_NOT_FOUND"],
    handle: (exchange, { params, query }) => explainEvent(context, holderOf(exchange), params.id, query.userId),
  });
  server.route({
    ...shared,
    path: "/api/v1/explain/notification/:id",
    id: "explainNotification",
    summary: "Explain a notification: its cause and its deliveries; recipients see their own part",
    errors: ["NOTIFICATION_NOT_FOUND", "USER_NOT_FOUND"],
    handle: (exchange, { params, query }) => explainNotification(context, holderOf(exchange), params.id, query.userId),
  });
}
