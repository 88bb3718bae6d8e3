import { HOUR_MS } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { holderOf } from "../../http/access.ts";
import { ofProjects } from "../../http/listing.ts";
import { stateOf } from "../../http/negotiation.ts";
import { RateLimiter } from "../../http/rate-limiter.ts";
import { withVersion } from "../../http/route.ts";
import { pageOf } from "../../http/shapes.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import { sealedColumn } from "../../store/sealed-column.ts";
import { silenceAt } from "../alerts/index.ts";
import { addressSealContext, handleMails } from "./mails.ts";
import { getStatusPage, listSubscribers, type ManagePagesContext, putStatusPage } from "./manage.ts";
import { noticeList, StatusNotice, StatusSubscriber } from "./notice.ts";
import type { NoticesContext } from "./notices.ts";
import { createNotice, deleteNotice, noticeView, updateNotice } from "./notices.ts";
import { StatusPages } from "./pages.ts";
import { publicRoutes } from "./public-routes.ts";
import * as s from "./schema.ts";
import { removeSubscriber } from "./subscribers.ts";
import { statusSweeps, updatesOf } from "./table.ts";

const PATH = "/api/v1/status-page";
const tag = "Status pages";

/** Rate-limited addresses: networks and subscribers. */
const MAX_SUBSCRIPTION_BUCKETS = 50_000;

declare module "../../module/feature.ts" {
  interface Offers {
    readonly statusPages: StatusPages;
  }
}

export const statusPageFeature = feature("statuspage", {
  needs: ["projects", "alerts", "silences", "steadyClock", "jobs", "runner"],
  open: (context) => ({ statusPages: new StatusPages({ ...context, log: context.log.namespace("alerts") }) }),
  effects: ({ statusPages }) => ({
    "status-pages-changed": (change) => statusPages.changed(change),
    "alerts-changed": ({ alerts = [] }) => statusPages.alertsChanged(alerts),
    "silences-changed": ({ silences }) =>
      statusPages.silencesChanged(new Set(silences.map(({ projectId }) => projectId))),
  }),
  load: ({ statusPages }) => statusPages.load(),
  start: ({ statusPages }) => statusPages.start(),
  close: ({ statusPages, readsOnly }) => (readsOnly ? undefined : statusPages.stop()),
  sealedColumns: [sealedColumn("status_subscribers", "address", addressSealContext)],
  register(server, given) {
    const { clock, silences } = given;
    const context = {
      ...given,
      limiter: new RateLimiter(clock, MAX_SUBSCRIPTION_BUCKETS, HOUR_MS),
      maintenanceOf: (projectId: string, now: number) =>
        silences.live(projectId).flatMap(({ row }) => (row.kind === "maintenance" ? silenceAt(row, now) : [])),
    };
    handleMails(context);
    servePage(server, context);
    serveNotices(server, context);
    serveSubscribers(server, context);
    for (const each of publicRoutes(context)) server.route(each);
  },
  sweeps: ({ settings }) => statusSweeps(() => settings.retention.alertDays),
});

const read = { tag, access: { permission: "events:read", within: "project" } } as const;
const write = { tag, access: { permission: "policies:write", within: "project" } } as const;

function servePage(server: FeatureServer, context: ManagePagesContext): void {
  const answer = (page: s.StatusPageView) => {
    const { state, states, subscribers, url, canSubscribe, subscriptionsLack } = page;
    return withVersion(page, {
      state: stateOf({ state, states, subscribers, url, canSubscribe, subscriptionsLack }),
    });
  };
  server.route({
    ...read,
    method: "GET",
    path: PATH,
    id: "getStatusPage",
    summary: "Get the status page of a project; off until it is set",
    query: s.StatusPageQuery,
    response: s.StatusPageView,
    errors: ["PROJECT_NOT_FOUND"],
    handle: async (exchange, { query }) => answer(await getStatusPage(context, holderOf(exchange), query.projectId)),
  });
  server.route({
    ...write,
    method: "PUT",
    path: PATH,
    id: "putStatusPage",
    summary: "Set the status page of a project",
    details: "The whole page. Components keep their history by their `id`; those without one are new.",
    query: s.StatusPageQuery,
    body: s.PutStatusPage,
    response: s.StatusPageView,
    errors: ["PROJECT_NOT_FOUND", "VERSION_CONFLICT"],
    async handle(exchange, { query, body }) {
      const request = { projectId: query.projectId, ifMatch: exchange.header("if-match"), body: s.documentOf(body) };
      return answer(await putStatusPage(context, holderOf(exchange), request));
    },
  });
}

function serveNotices(server: FeatureServer, context: NoticesContext): void {
  const { db, clock, projects } = context;
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/notices`,
    id: "listStatusNotices",
    summary: "List the notices of a status page, newest first",
    query: s.ListOfPage,
    response: () => pageOf(StatusNotice.View),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    async handle(exchange, { query }) {
      const projectId = projects.requireOrDefault(holderOf(exchange), query.projectId, "events:read");
      const scope = { visible: ofProjects([projectId]), state: undefined };
      return noticeList.page(db, scope, query, async (rows) => {
        const updates = await updatesOf(db.read, rows);
        return (row) => noticeView({ row, updates: updates.get(row.id) ?? [] }, clock.now());
      });
    },
  });
  server.route({
    ...write,
    method: "POST",
    path: `${PATH}/notices`,
    id: "createStatusNotice",
    summary: "Announce a disturbance or planned maintenance",
    body: s.CreateNotice,
    status: 201,
    response: () => StatusNotice.View,
    errors: ["PROJECT_NOT_FOUND", "LIMIT_REACHED"],
    handle: async (exchange, { body }) =>
      withVersion(await createNotice(context, holderOf(exchange), body), { status: 201 }),
  });
  const one = { path: `${PATH}/notices/:id`, params: s.NoticeParams };
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getStatusNotice",
    summary: "Get a notice of a status page",
    response: () => StatusNotice.View,
    errors: ["STATUS_NOTICE_NOT_FOUND"],
    async handle(exchange, { params }) {
      const row = await db.read.selectFrom("status_notices").selectAll().where("id", "=", params.id).executeTakeFirst();
      const principal = holderOf(exchange);
      if (!row || !projects.exists(row.projectId) || !projects.has(principal, row.projectId, "project:read"))
        throw new PrismError("STATUS_NOTICE_NOT_FOUND", "No such notice");
      projects.require(principal, row.projectId, "events:read");
      const updates = await updatesOf(db.read, [row]);
      const view = noticeView({ row, updates: updates.get(row.id) ?? [] }, clock.now());
      return withVersion(view, { state: view.state });
    },
  });
  server.route({
    ...write,
    ...one,
    method: "PATCH",
    id: "updateStatusNotice",
    summary: "Change a notice; a state or text adds an update",
    body: s.UpdateNotice,
    response: () => StatusNotice.View,
    errors: ["STATUS_NOTICE_NOT_FOUND", "VERSION_CONFLICT", "LIMIT_REACHED"],
    handle: async (exchange, { params, body }) =>
      withVersion(await updateNotice(context, holderOf(exchange), params.id, exchange.header("if-match"), body)),
  });
  server.route({
    ...write,
    ...one,
    method: "DELETE",
    id: "deleteStatusNotice",
    summary: "Remove a notice with its updates; nothing is sent",
    errors: ["STATUS_NOTICE_NOT_FOUND"],
    handle: (exchange, { params }) => deleteNotice(context, holderOf(exchange), params.id),
  });
}

function serveSubscribers(server: FeatureServer, context: ManagePagesContext): void {
  server.route({
    ...write,
    method: "GET",
    path: `${PATH}/subscribers`,
    id: "listStatusSubscribers",
    summary: "List the subscribers of a status page, newest first",
    query: s.ListOfPage,
    response: () => pageOf(StatusSubscriber.View),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => listSubscribers(context, holderOf(exchange), query),
  });
  server.route({
    ...write,
    method: "DELETE",
    path: `${PATH}/subscribers/:id`,
    params: s.SubscriberParams,
    query: s.StatusPageQuery,
    id: "removeStatusSubscriber",
    summary: "Remove a subscriber of a status page",
    errors: ["PROJECT_NOT_FOUND", "SUBSCRIBER_NOT_FOUND"],
    async handle(exchange, { params, query }) {
      const { projects } = context;
      const projectId = projects.requireOrDefault(holderOf(exchange), query.projectId, "policies:write");
      if (!(await removeSubscriber(context, projectId, params.id)))
        throw new PrismError("SUBSCRIBER_NOT_FOUND", "No such subscriber");
    },
  });
}
