import * as v from "valibot";
import { IDEMPOTENCY_ERRORS } from "../../http/api/idempotency.ts";
import { streamReply } from "../../http/api/replies.ts";
import { Reply } from "../../http/api/route.ts";
import { doc, object, pageOf } from "../../http/api/shapes.ts";
import { callerOf, holderOf } from "../../http/server/access.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import { IngestService, trialEvent } from "./bus.ts";
import { cloudEventsConsent } from "./consent.ts";
import { eventFindings } from "./findings.ts";
import { ingest, openIngest } from "./ingest.ts";
import { Backlog, handleEventJobs } from "./pipeline/backlog.ts";
import { EventPipeline } from "./pipeline/pipeline.ts";
import { storeTestEvent } from "./pipeline/test-event.ts";
import { DELETE_EVENTS_KIND, deleteProjectEvents, EVENT_SWEEPS, eventSweep, runDeletion } from "./retention.ts";
import * as s from "./schema.ts";
import { type EventsContext, eventPaths, exportEvents, getEvent, listEvents, reprocessEvent } from "./service.ts";

/** The last one is for CloudEvents, whose binary mode has any type. */
const RAW_TYPES = ["application/json", "application/x-ndjson", "text/plain", "*"] as const;
const MAX_RAW = { types: RAW_TYPES, gzip: true, exact: true } as const;
const tag = "Events";

/** The consent of CloudEvents' abuse protection, for callers with a valid credential. */
function consentOf({ kernel, settings }: EventsContext, exchange: Exchange) {
  if (exchange.header("webhook-request-origin") === "") return null;
  kernel.authenticate(exchange, true);
  return cloudEventsConsent(exchange, settings.rateLimit.keyEvents);
}

declare module "../../module/feature.ts" {
  interface Offers {
    readonly backlog: Backlog;
    readonly pipeline: EventPipeline;
    readonly ingest: IngestService;
    readonly trialEvent: typeof trialEvent;
    /** Stores an event as ingest does, and removes it in the same commit. */
    readonly storeTestEvent: () => Promise<void>;
  }
}

/** Taking events in, reading and exporting them. */
export const eventsFeature = feature("events", {
  needs: ["decider", "pipelineMetrics", "announcer", "jobs", "runner", "principals", "projects"],
  open(context) {
    const { config, clock, committer, announcer, projects } = context;
    const backlog = new Backlog(context);
    committer.whenEpochFails(() => backlog.reset());
    committer.decideWithin = (transactions) => backlog.sealWithin(transactions);
    announcer.onEvents((events) => projects.storage.stored(events));
    const pipeline = new EventPipeline({ ...context, backlog });
    return {
      backlog,
      pipeline,
      ingest: new IngestService(pipeline, config.ingest, clock),
      trialEvent,
      storeTestEvent: () => storeTestEvent({ committer, pipeline, backlog, clock }),
    };
  },
  effects: ({ backlog, announcer, events: bus }) => ({
    "events-appended": ({ events }) => announcer.events(backlog.appended(events)),
    "rights-changed"(change) {
      if (change.of === "user") bus.emit("user:rights-changed", { userId: change.userId });
    },
    announced: ({ event, data }) => bus.emit(event, data),
  }),
  findings: eventFindings,
  register: serve,
  start: ({ backlog }) => backlog.start(),
  sweeps: ({ settings }) => [...EVENT_SWEEPS, eventSweep(() => settings.retention.days)],
});

function serve(server: FeatureServer, context: EventsContext): void {
  const ingestContext = openIngest(context);
  const read = { permission: "events:read", within: "project", keyScope: "events:read" } as const;

  handleEventJobs(context);
  context.runner.handle(DELETE_EVENTS_KIND, (job, signal) => runDeletion(context, job, signal));

  server.route({
    method: "DELETE",
    path: "/api/v1/projects/:id/events",
    aliases: ["/projects/:id/events"],
    id: "deleteProjectEvents",
    summary: "Delete the events of a project (owner); a job deletes more than 10 000",
    returns: "Number of deleted events, or the job that deletes them (202)",
    tag: "Projects",
    access: { tokenScopes: ["events:delete"] },
    params: object({ id: doc(v.string(), "Id or slug of the project") }),
    query: s.DeleteEvents,
    otherStatuses: [202],
    response: v.union([v.object({ deleted: v.number() }), v.object({ jobId: v.string() })]),
    errors: ["PROJECT_NOT_FOUND"],
    async handle(exchange, { params, query }) {
      const result = await deleteProjectEvents(context, holderOf(exchange), params.id, query.before);
      return new Reply("jobId" in result ? 202 : 200, result);
    },
  });
  server.route({
    method: "POST",
    path: "/api/v1/events",
    aliases: ["/events", "/ingest", "/api/ingest", "/api/v1/ingest"],
    id: "sendEvents",
    summary: "Send events: one object, an array, NDJSON, CloudEvents in three modes, or text",
    details:
      "CloudEvents: source and id are the dedupe key, data is the payload, the attributes are its member `cloudevent`. " +
      "Text is the message of an event; its members are in the query.",
    returns: "What was stored, rejected or known before",
    tag,
    access: { permission: "events:write", within: "project", keyScope: "events:write", queryToken: true },
    options: (exchange) => consentOf(context, exchange),
    query: s.IngestQuery,
    body: s.IngestBody,
    raw: MAX_RAW,
    // Events have limits of their own, and batches are read in slices.
    chargesItself: true,
    maxBodyBytes: context.config.ingest.maxBodyBytes,
    status: 202,
    response: s.IngestReply,
    errors: [
      "BATCH_TOO_LARGE",
      "BATCH_REJECTED",
      "PROJECT_NOT_FOUND",
      "ID_CONFLICT",
      "ID_TAKEN",
      ...IDEMPOTENCY_ERRORS,
      "OVERLOADED",
      "STORAGE_FULL",
      "STORAGE_LIMIT_REACHED",
      "DATABASE_UNAVAILABLE",
    ],
    quiet: true,
    handle: (exchange, { query, body }) => ingest(ingestContext, exchange, body as unknown as Buffer, query),
  });
  server.route({
    method: "GET",
    path: "/api/v1/events",
    aliases: ["/events"],
    id: "listEvents",
    summary: "List the events of a project, or of all, newest first",
    details: "A filtered page may hold fewer entries than the limit: `nextCursor` is null on the last one.",
    tag,
    access: read,
    query: s.ListEvents,
    response: pageOf(s.EventView),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => listEvents(context, callerOf(exchange), query),
  });
  server.route({
    method: "GET",
    path: "/api/v1/events/export",
    id: "exportEvents",
    summary: "Download events as NDJSON or CSV, oldest first",
    tag,
    access: read,
    query: s.ExportEvents,
    response: { contentType: "application/x-ndjson", description: "One event per line, or CSV" },
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query }) => {
      const isCsv = query.format === "csv";
      const contentType = isCsv ? "text/csv; charset=utf-8" : "application/x-ndjson";
      const lines = exportEvents(context, callerOf(exchange), query);
      return streamReply(exchange, { contentType, filename: `events.${isCsv ? "csv" : "ndjson"}` }, lines);
    },
  });
  server.route({
    method: "GET",
    path: "/api/v1/events/paths",
    id: "listEventPaths",
    summary: "List the paths, types and sources of the last 500 events, for writing conditions",
    tag,
    access: read,
    query: s.PathsQuery,
    response: s.EventPaths,
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query }) => eventPaths(context, callerOf(exchange), query),
  });
  server.route({
    method: "GET",
    path: "/api/v1/events/:id",
    id: "getEvent",
    summary: "Get an event with the notifications it caused",
    tag,
    access: read,
    params: object({ id: doc(v.string(), "Id of the event") }),
    response: s.EventDetail,
    errors: ["EVENT_NOT_FOUND"],
    handle: (exchange, { params }) => getEvent(context, callerOf(exchange), params.id),
  });
  server.route({
    method: "POST",
    path: "/api/v1/events/:id/reprocess",
    id: "reprocessEvent",
    summary: "Re-evaluate an event; rules that already notified are skipped",
    returns: "The job that evaluates the event",
    tag,
    access: { permission: "jobs:manage" },
    params: object({ id: doc(v.string(), "Id of the event") }),
    body: s.ReprocessBody,
    status: 202,
    response: v.object({ jobId: v.string() }),
    errors: ["EVENT_NOT_FOUND"],
    handle: (exchange, { params }) => reprocessEvent(context, callerOf(exchange), params.id),
  });
}
