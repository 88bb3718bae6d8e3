import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import type { EpochMs } from "../../../core/clock.ts";
import type { PrismError } from "../../../core/errors.ts";
import type { KeyScope, Permission } from "../../../core/permissions.ts";
import { callerOf } from "../../../http/access.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { ANSWERS_LATER, type Method, Reply, type Route, route } from "../../../http/route.ts";
import { feature } from "../../../module/feature.ts";
import type { ProjectRight } from "../../access/index.ts";
import { type AlertInput, reporterOf } from "../../alerts/index.ts";
import type { AlertmanagerOwn } from "./context.ts";
import { listAlerts, listGroups } from "./get-alerts.ts";
import { type AlertmanagerAlert, inputOf, readPostedAlerts } from "./post-alerts.ts";
import { QueryParameters } from "./query.ts";
import { BASE, empty, errorBodyOf, messageOf, orRefused, refused } from "./replies.ts";
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
  const api = (method: Method, path: string, right: Right, handle: Handler): Route[] =>
    mounted(method, path, {
      access: { permission: right, within: "project", keyScope: right, basic: true },
      ...(method === "POST" ? BODY : {}),
      maxBodyBytes: own.config.ingest.maxBodyBytes,
      handle: (exchange, { body }) => handle(project(exchange, right), exchange, body as unknown as Buffer),
    });
  return [
    ...api("GET", "/api/v2/status", "events:read", (id) => getStatus(own, id)),
    ...api("GET", "/api/v2/receivers", "events:read", (id) => listReceivers(own, id)),
    ...api("GET", "/api/v2/alerts", "events:read", (id, exchange) => listAlerts(own, exchange, id)),
    ...api("POST", "/api/v2/alerts", "events:write", (projectId, exchange, body) =>
      postAlerts(own, received, { projectId, ...reporterOf(own.projects, callerOf(exchange), projectId) }, body),
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

/** Alerts of a body that are read before other requests may run. */
const SLICE = 200;

/** Where posted alerts belong, and who posts them. */
type Origin = Pick<AlertInput, "projectId"> & ReturnType<typeof reporterOf>;

/** `POST /api/v2/alerts`: valid alerts are stored, whatever the others of the batch are. */
async function postAlerts(
  own: AlertmanagerOwn,
  received: ReceivedAlerts,
  from: Origin,
  body: Buffer,
): Promise<Reply<unknown>> {
  const posted = readPostedAlerts(body);
  if ("refusal" in posted) return posted.refusal;
  const now = own.clock.now();
  const inputs: AlertInput[] = [];
  const problems: string[] = [];
  let full: PrismError | null = null;
  for (let at = 0; at < posted.alerts.length; at += SLICE) {
    if (at > 0) await setImmediate();
    const read = inputsOf(posted.alerts.slice(at, at + SLICE), from, now, problems);
    const outcomes = read.length === 0 ? [] : await own.alerts.submit(read);
    for (const outcome of outcomes) {
      if (outcome.status !== "refused") continue;
      problems.push(messageOf(outcome.error));
      if (outcome.error.code === "STORAGE_LIMIT_REACHED") full = outcome.error;
    }
    inputs.push(...read);
  }
  const counts = received.of(from.projectId);
  counts.invalid += problems.length;
  for (const { endsAt } of inputs) counts[endsAt != null && endsAt > now ? "firing" : "resolved"] += 1;
  // A sender repeats after 5xx only.
  if (full !== null) throw full;
  return problems.length === 0 ? empty() : refused(400, problems.join("\n"));
}

function inputsOf(
  alerts: readonly AlertmanagerAlert[],
  { projectId, ...reporter }: Origin,
  now: EpochMs,
  problems: string[],
): readonly AlertInput[] {
  const inputs: AlertInput[] = [];
  for (const alert of alerts) {
    const input = orRefused("", () => ({ ...inputOf(alert, projectId, now), ...reporter }));
    if ("value" in input) inputs.push(input.value);
    else problems.push(String(input.refusal.body));
  }
  return inputs;
}
