import * as v from "valibot";
import { LEVELS } from "../../core/vocabulary.ts";
import { pageEntries } from "../../http/pagination.ts";
import { instant, named, object, queryBoolean, queryInteger, queryList, text } from "../../http/shapes.ts";
import { EventInput, EventTypePattern } from "./pipeline/event-envelope.ts";

const filters = {
  projectId: v.optional(
    v.pipe(v.string(), v.maxLength(64), v.description("Id or slug; default: the key's project, for users default")),
  ),
  type: v.optional(queryList(EventTypePattern)),
  level: v.optional(queryList(v.picklist(LEVELS))),
  source: v.optional(text(100)),
  from: v.optional(instant),
  to: v.optional(instant),
  afterSeq: v.optional(queryInteger(0, Number.MAX_SAFE_INTEGER)),
  processed: v.optional(queryBoolean),
};

export const ListQuery = object({ ...filters, ...pageEntries(1000) });
export type ListQuery = v.InferOutput<typeof ListQuery>;

export const ExportQuery = object({ ...filters, format: v.optional(v.picklist(["ndjson", "csv"])) });
export type ExportQuery = v.InferOutput<typeof ExportQuery>;

export type EventFilters = Omit<v.InferOutput<typeof ListQuery>, "projectId" | "limit" | "page" | "offset" | "cursor">;

export const ReprocessBody = object({
  rulesOnly: v.optional(
    v.pipe(v.boolean("must be true or false"), v.description("Rules are the only consumer so far")),
  ),
});

export const IngestQuery = object({ results: v.optional(v.picklist(["all", "errors"])) });

/** One event, or an array of events; as NDJSON one event per line. */
export const IngestBody = v.union([EventInput, v.array(EventInput)]);

export const IngestReply = v.union([
  v.object({
    id: v.string(),
    seq: v.number(),
    status: v.picklist(["accepted", "duplicate"]),
    receivedAt: v.string(),
  }),
  v.object({
    accepted: v.number(),
    duplicates: v.number(),
    rejected: v.number(),
    firstSeq: v.nullable(v.number()),
    lastSeq: v.nullable(v.number()),
    results: v.array(
      v.object({
        index: v.number(),
        id: v.optional(v.string()),
        status: v.picklist(["accepted", "duplicate", "rejected"]),
        error: v.optional(v.object({ code: v.string(), message: v.string(), path: v.string() })),
      }),
    ),
  }),
]);

const eventEntries = {
  id: v.string(),
  seq: v.number(),
  projectId: v.string(),
  type: v.string(),
  level: v.picklist(LEVELS),
  source: v.nullable(v.string()),
  dedupeKey: v.nullable(v.string()),
  occurredAt: v.string(),
  receivedAt: v.string(),
  processedAt: v.nullable(v.string()),
  correlationId: v.string(),
  payload: v.record(v.string(), v.unknown()),
};

export const EventView = named("Event", v.object(eventEntries));

export const EventDetail = v.object({
  ...eventEntries,
  notifications: v.array(v.string()),
  failure: v.optional(
    v.object({
      consumer: v.string(),
      attempts: v.number(),
      lastError: v.nullable(v.string()),
      jobId: v.nullable(v.string()),
    }),
  ),
});

export const DeleteEvents = object({ before: v.optional(instant) });
