import * as v from "valibot";
import type { KeyScope, Permission } from "../../../core/permissions.ts";
import { ANSWERS_LATER, type Method, Reply, type Route, route } from "../../../http/api/route.ts";
import { callerOf } from "../../../http/server/access.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { feature } from "../../../module/feature.ts";
import type { ProjectRight } from "../../access/index.ts";
import { reporterOf } from "../../alerts/index.ts";
import { acceptAlerts } from "./accept-alerts.ts";
import type { AlertmanagerOwn } from "./context.ts";
import { listAlerts, listGroups } from "./get-alerts.ts";
import { QueryParameters } from "./query.ts";
import { BASE, errorBodyOf } from "./replies.ts";
import { deleteSilence, getSilence, listSilences, postSilence } from "./silences.ts";
import { getStatus, listReceivers, metricsText, ReceivedAlerts, swaggerDocument } from "./status.ts";

const TEXT = { "Content-Type": "text/plain; charset=utf-8" };
const V1_GONE = {
  status: "deprecated",
  error:
    "The Alertmanager v1 API was deprecated in version 0.16.0 and is removed as of version 0.27.0 - please use the " +
    "equivalent route in the v2 API",
};

/** The right that a route needs: of a user in the project, and as an API key's scope. */
type Right = KeyScope & Permission & ProjectRight;

type Handler = (projectId: string, exchange: Exchange, body: Buffer) => unknown;

/**
 * Alertmanager's API v2 below `/alertmanager` for the default project, or the project of an API key,
 * and below `/alertmanager/<slug>`: Prometheus, amtool, Grafana and Karma use it unchanged
 * (docs/alertmanager.md). A protocol of its own: not in the OpenAPI document.
 */
export const alertmanagerFeature = feature("alertmanager-api", {
  needs: ["steadyClock", "projects", "alerts", "silences", "policies", "withholding"],
  // Not "alertmanager": the example module has that name, and modules may not share one.
  register(server, context) {
    context.kernel.addDialect({ prefix: `${BASE}/`, errorBody: errorBodyOf });
    for (const each of routesOf(context)) server.route(each);
  },
});

function routesOf(own: AlertmanagerOwn): Route[] {
  const received = new ReceivedAlerts();
  const project = (exchange: Exchange, right: ProjectRight): string => {
    const caller = callerOf(exchange);
    return own.projects.requireOrDefault(caller, exchange.params["project"], right);
  };
  const api = (method: Method, path: string, right: Right, handle: Handler, rest: Partial<Route> = {}): Route[] =>
    mounted(method, path, {
      ...rest,
      access: { permission: right, within: "project", keyScope: right, basic: true },
      ...(method === "POST" ? BODY : {}),
      maxBodyBytes: own.config.ingest.maxBodyBytes,
      handle: (exchange, { body }) => handle(project(exchange, right), exchange, body as unknown as Buffer),
    });
  return [
    ...api("GET", "/api/v2/status", "events:read", (id) => getStatus(own, id)),
    ...api("GET", "/api/v2/receivers", "events:read", (id, exchange) => listReceivers(own, exchange, id)),
    ...api("GET", "/api/v2/alerts", "events:read", (id, exchange) => listAlerts(own, exchange, id)),
    ...api(
      "POST",
      "/api/v2/alerts",
      "events:write",
      (projectId, exchange, body) => {
        const from = { projectId, ...reporterOf(own.projects, callerOf(exchange), projectId) };
        return acceptAlerts(own, received, from, body, exchange);
      },
      { withoutContext: true },
    ),
    ...api("GET", "/api/v2/alerts/groups", "events:read", (id, exchange) => listGroups(own, exchange, id)),
    ...api("GET", "/api/v2/silences", "events:read", (id, exchange) =>
      listSilences(own, new QueryParameters(exchange), id),
    ),
    ...api("POST", "/api/v2/silences", "silences:write", (projectId, exchange, body) => {
      const mayBeBroad = own.projects.has(callerOf(exchange), projectId, "silences:broad");
      return postSilence(own, body, { projectId, mayBeBroad });
    }),
    ...api("GET", "/api/v2/silence/:id", "events:read", (id, { params }) => getSilence(own, id, params["id"] ?? "")),
    ...api("DELETE", "/api/v2/silence/:id", "silences:write", (id, { params }) =>
      deleteSilence(own, id, params["id"] ?? ""),
    ),
    ...api("GET", "/api/v2/swagger.json", "events:read", (_, { path }) =>
      swaggerDocument(path.replace(/\/swagger\.json\/?$/, "")),
    ),
    ...api("GET", "/metrics", "events:read", async (id, exchange) => {
      const text = await metricsText(own, received, id, own.clock.now());
      exchange.send(200, text, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
      return ANSWERS_LATER;
    }),
    ...publicRoutes(),
  ];
}

/** Health checks, and the removed API v1. */
function publicRoutes(): Route[] {
  const ok = (exchange: Exchange): typeof ANSWERS_LATER => {
    exchange.send(200, "OK", TEXT);
    return ANSWERS_LATER;
  };
  const probe = { access: "public", unlimited: true, quiet: true } as const;
  const gone = (method: Method, path: string): Route[] =>
    mounted(method, `/api/v1${path}`, { access: "public", handle: () => new Reply(410, V1_GONE) });
  return [
    ...mounted("GET", "/-/healthy", { ...probe, handle: ok }),
    ...mounted("GET", "/-/ready", { ...probe, handle: ok }),
    ...["/status", "/receivers", "/alerts", "/silences", "/silence/:id"].flatMap((path) => gone("GET", path)),
    ...["/alerts", "/silences"].flatMap((path) => gone("POST", path)),
    ...gone("DELETE", "/silence/:id"),
  ];
}

/** The handlers read the bytes: their refusals have Alertmanager's own form. */
const BODY = { body: v.unknown(), raw: { types: ["application/json"], gzip: false, exact: true } } as const;

/** The route of the default project and that of a named one. */
function mounted(method: Method, path: string, rest: Pick<Route, "access" | "handle"> & Partial<Route>): Route[] {
  const summary = `Alertmanager: ${method} ${path}`;
  return [BASE, `${BASE}/:project`].map((base) =>
    route({
      ...rest,
      method,
      path: `${base}${path}`,
      summary,
      tag: "Alertmanager",
      undocumented: true,
    } as Route),
  );
}
