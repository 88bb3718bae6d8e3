import { sql } from "kysely";
import { PrismError } from "../../core/errors.ts";
import { ANSWERS_LATER } from "../../http/api/route.ts";
import { pageBody, pageOf, readPage } from "../../http/api/shapes.ts";
import { callerOf, holderOf } from "../../http/server/access.ts";
import type { FeatureServer } from "../../module/feature.ts";
import { healthchecksRoutes } from "../protocols/healthchecks/routes.ts";
import { badgeRoutes, badgeUrlOf, projectMetricsRoutes } from "./badges.ts";
import type { HeartbeatsContext } from "./changes.ts";
import * as changes from "./changes.ts";
import { Heartbeat, HeartbeatFlip } from "./heartbeat.ts";
import { pingKeyImport } from "./import-keys.ts";
import { heartbeats, PATH, read, write } from "./manage.ts";
import { pingRoutes } from "./ping-routes.ts";
import * as s from "./schema.ts";
import type { KeysRow } from "./table.ts";
import * as table from "./table.ts";
import { heartbeatAccess } from "./table.ts";

export function registerHeartbeats(server: FeatureServer, context: HeartbeatsContext): void {
  for (const each of [...pingRoutes(context), ...badgeRoutes(context)]) server.route(each);
  for (const each of [...healthchecksRoutes(context), ...projectMetricsRoutes(context)]) server.route(each);
  serveHeartbeats(server, context);
  serveHistory(server, context);
  serveKeys(server, context);
  server.route(pingKeyImport(context));
}

function serveHeartbeats(server: FeatureServer, context: HeartbeatsContext): void {
  const { projects } = context;
  for (const each of heartbeats.routes(context)) server.route(each);
  server.route({
    ...read,
    method: "POST",
    path: `${PATH}/preview`,
    body: s.PreviewPlan,
    id: "previewHeartbeatPlan",
    summary: "Preview when a schedule expects pings; nothing is stored",
    response: s.PlanPreview,
    errors: ["PROJECT_NOT_FOUND", "INVALID_CRON", "INVALID_TIMEZONE"],
    handle(exchange, { body: { projectId, ...plan } }) {
      projects.requireOrDefault(callerOf(exchange), projectId, "events:read");
      return changes.previewPlan(plan, context.heartbeats.clock.now());
    },
  });
  const actions = [
    ["pause", "pauseHeartbeat", "Stop watching a heartbeat; its alert is resolved", changes.pauseHeartbeat],
    ["resume", "resumeHeartbeat", "Watch a paused heartbeat again, from its next ping", changes.resumeHeartbeat],
    ["rotate", "rotateHeartbeat", "Replace the ping URL; the old one stops working", changes.rotatePingUrl],
  ] as const;
  for (const [name, id, summary, act] of actions) {
    server.route({
      ...write,
      method: "POST",
      path: `${PATH}/:id/${name}`,
      params: s.HeartbeatParams,
      body: s.NoBody,
      id,
      summary,
      response: () => Heartbeat.View,
      errors: ["HEARTBEAT_NOT_FOUND", "VERSION_CONFLICT", ...(name === "resume" ? (["INVALID_STATE"] as const) : [])],
      handle(exchange, { params }) {
        const given = { id: params.id, ifMatch: exchange.header("if-match") };
        return heartbeats.act(context, holderOf(exchange), given, async (trx, row) => ({
          row: await act(context, trx, row),
        }));
      },
    });
  }
}

function serveHistory(server: FeatureServer, context: HeartbeatsContext): void {
  const { db, projects } = context;
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/:id/pings`,
    params: s.HeartbeatParams,
    query: s.HistoryQuery,
    id: "listHeartbeatPings",
    summary: "List the last 100 pings of a heartbeat, newest first",
    response: pageOf(s.PingView),
    errors: ["HEARTBEAT_NOT_FOUND", "INVALID_CURSOR"],
    async handle(exchange, { params, query }) {
      const row = await heartbeatAccess.visible(projects, callerOf(exchange), params.id, db.read);
      const page = readPage(query, ["number"]);
      const before = page.after ? Number(page.after[0]) : row.pingCount + 1 - page.offset;
      const pings = await table.pingsOf(db.read, row, before, page.limit + 1);
      const total = page.wantsTotal ? Math.min(row.pingCount, table.KEPT_PINGS) : undefined;
      return pageBody(page, pings, s.pingView, ({ n }) => [n], total);
    },
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/:id/pings/:n/body`,
    params: s.PingParams,
    id: "getHeartbeatPingBody",
    summary: "Get the first 10 000 bytes of a ping's body, as they arrived",
    response: { contentType: "text/plain", description: "The bytes" },
    errors: ["HEARTBEAT_NOT_FOUND", "NOT_FOUND"],
    async handle(exchange, { params }) {
      const row = await heartbeatAccess.visible(projects, callerOf(exchange), params.id, db.read);
      const body = /^\d{1,15}$/.test(params.n) ? await table.pingBody(db.read, row, Number(params.n)) : null;
      if (!body) throw new PrismError("NOT_FOUND", "The ping has no body, or the body was removed");
      exchange.send(200, body, { "Content-Type": "text/plain; charset=utf-8" });
      return ANSWERS_LATER;
    },
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/:id/flips`,
    params: s.HeartbeatParams,
    query: s.HistoryQuery,
    id: "listHeartbeatFlips",
    summary: "List the changes of a heartbeat's status of the last 93 days, newest first",
    response: () => pageOf(HeartbeatFlip.View),
    errors: ["HEARTBEAT_NOT_FOUND", "INVALID_CURSOR"],
    async handle(exchange, { params, query }) {
      const { id } = await heartbeatAccess.visible(projects, callerOf(exchange), params.id, db.read);
      const scope = { visible: sql<boolean>`heartbeatId = ${id}`, state: undefined };
      return table.flipList.page(db, scope, query, () => (row) => HeartbeatFlip.view(row));
    },
  });
}

function serveKeys(server: FeatureServer, context: HeartbeatsContext): void {
  const { db, projects } = context;
  const view = (projectId: string, keys: KeysRow | undefined) => {
    const pingKey = keys ? context.heartbeats.ids.keyOf(keys) : null;
    return {
      projectId,
      pingKey,
      pingUrl: pingKey && `${context.publicUrl()}/ping/${pingKey}`,
      badgeUrl: keys ? badgeUrlOf(context.publicUrl(), keys, null) : null,
    };
  };
  server.route({
    ...write,
    method: "GET",
    path: `${PATH}/key`,
    query: s.KeyQuery,
    id: "getHeartbeatKey",
    summary: "Get the project's key for ping URLs with a slug",
    response: s.KeyView,
    errors: ["PROJECT_NOT_FOUND"],
    async handle(exchange, { query }) {
      const principal = holderOf(exchange);
      const projectId = projects.requireOrDefault(principal, query.projectId, "heartbeats:write");
      return view(projectId, await table.findKeys(db.read, "projectId", projectId));
    },
  });
  server.route({
    ...write,
    method: "POST",
    path: `${PATH}/key/rotate`,
    body: s.RotateKey,
    id: "rotateHeartbeatKey",
    summary: "Create the project's ping key, or replace it; URLs with the old one stop working",
    response: s.KeyView,
    errors: ["PROJECT_NOT_FOUND"],
    async handle(exchange, { body }) {
      const principal = holderOf(exchange);
      const projectId = projects.requireOrDefault(principal, body.projectId, "heartbeats:write");
      return view(projectId, await db.write((trx) => changes.rotatePingKey(context, trx, projectId)));
    },
  });
}
