import * as v from "valibot";
import { LEVELS } from "../../core/text/vocabulary.ts";
import {
  doc,
  example,
  instant,
  named,
  object,
  pageEntries,
  queryBoolean,
  queryInteger,
  queryList,
  text,
} from "../../http/api/shapes.ts";
import { EventInput, EventTypePattern } from "./pipeline/event-envelope.ts";

const filters = {
  projectId: v.optional(
    doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project; default: that of the API key, or `default`"),
  ),
  type: v.optional(doc(queryList(EventTypePattern), "Types, or prefixes such as `order.*`, separated by commas")),
  level: v.optional(doc(queryList(v.picklist(LEVELS)), "Levels, separated by commas")),
  source: v.optional(doc(text(100), "Source of the event")),
  from: v.optional(doc(instant, "Received at or after")),
  to: v.optional(doc(instant, "Received before")),
  afterSeq: v.optional(doc(queryInteger(0, Number.MAX_SAFE_INTEGER), "Only events after this sequence number")),
  processed: v.optional(doc(queryBoolean, "Only evaluated, or only pending events")),
  own: v.optional(
    doc(queryBoolean, "Only events that Prism itself writes, with sources `prism:*`, or only the others"),
  ),
};

const projectOrAll = v.optional(
  doc(
    v.pipe(v.string(), v.maxLength(64)),
    "Id or slug of the project, or `*` for all that the caller may read; default: that of the API key, or `default`",
  ),
);

export const ListEvents = object({
  ...filters,
  projectId: projectOrAll,
  q: v.optional(doc(text(100, 1), "Text in the type, source or payload")),
  include: v.optional(doc(v.picklist(["outcome"]), "`outcome`: the outcome of the rules for each event")),
  ...pageEntries(1000),
});
export type ListEvents = v.InferOutput<typeof ListEvents>;

export const ExportEvents = object({
  ...filters,
  projectId: projectOrAll,
  format: v.optional(doc(v.picklist(["ndjson", "csv"]), "Default `ndjson`")),
});
export type ExportEvents = v.InferOutput<typeof ExportEvents>;

export type EventFilters = Omit<
  v.InferOutput<typeof ListEvents>,
  "projectId" | "include" | "limit" | "page" | "offset" | "cursor"
>;

export const PathsQuery = object({
  projectId: projectOrAll,
  type: v.optional(doc(queryList(EventTypePattern), "Types, or prefixes such as `order.*`, separated by commas")),
});
export type PathsQuery = v.InferOutput<typeof PathsQuery>;

const JSON_TYPES = ["string", "number", "boolean", "null", "list", "object"] as const;

export const EventPaths = named(
  "EventPaths",
  "Paths for the conditions of rules, from recent events",
  v.object({
    events: doc(v.number(), "Number of events that were read, at most 500"),
    paths: v.array(
      v.object({
        path: doc(v.string(), "As in a condition, such as `event.order.total`"),
        type: doc(v.picklist(JSON_TYPES), "The most common type"),
        types: v.array(v.picklist(JSON_TYPES)),
        examples: doc(v.array(v.union([v.string(), v.number(), v.boolean()])), "Up to 3 values, up to 100 characters"),
        count: doc(v.number(), "Number of events that have it"),
      }),
    ),
    types: doc(v.array(v.string()), "Known types, at most 500"),
    sources: doc(v.array(v.string()), "Sources of these events"),
  }),
);
export type EventPaths = v.InferOutput<typeof EventPaths>;

export const ReprocessBody = example(
  object({
    rulesOnly: v.optional(doc(v.boolean("must be true or false"), "Rules are the only consumer so far")),
  }),
  { rulesOnly: true },
);

export const IngestQuery = object({
  results: v.optional(doc(v.picklist(["all", "errors"]), "Results in the answer to a batch; default `all`")),
  type: v.optional(doc(text(100, 1), "Type of a text; default `message`")),
  level: v.optional(doc(text(20), "Level of a text")),
  source: v.optional(doc(text(100), "Source of a text")),
  projectId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project of events that name none")),
  dedupeKey: v.optional(doc(text(256, 1), "Dedupe key of a text")),
  token: v.optional(doc(v.string(), "API key or token, for programs that cannot set headers")),
  access_token: v.optional(doc(v.string(), "As `token`, as CloudEvents' senders name it")),
});

/** One event, or an array of events; as NDJSON one event per line. */
export const IngestBody = example(v.union([EventInput, v.array(EventInput)]), {
  type: "payment.failed",
  level: "error",
  source: "billing",
  payload: { orderId: "A-1001", amount: 1200, reason: "card declined" },
});

export const IngestReply = v.union([
  named(
    "StoredEvent",
    "The answer to a single event",
    v.object({
      id: v.string(),
      seq: v.number(),
      status: v.picklist(["accepted", "duplicate"]),
      receivedAt: v.string(),
    }),
  ),
  named(
    "StoredBatch",
    "The answer to a batch of events",
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
  ),
]);

/** Outcomes of an event, the most important first. */
export const EVENT_OUTCOMES = [
  "fired",
  "alert-opened",
  "alert-resolved",
  "failed",
  "deduped",
  "suppressed",
  "cooled",
  "counted",
  "no recipients",
  "no rule",
  "pending",
] as const;

const EventOutcome = v.object({
  result: doc(
    v.picklist(EVENT_OUTCOMES),
    "`pending`: not evaluated yet; `failed`: could not be; `no rule`: none matched",
  ),
  rules: doc(v.number(), "Number of rules that matched"),
  notificationId: doc(v.nullable(v.string()), "One of the notifications that it caused or was counted into"),
});
export type EventOutcome = v.InferOutput<typeof EventOutcome>;

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

export const EventView = named(
  "Event",
  "A stored event",
  v.object({ ...eventEntries, outcome: v.optional(doc(EventOutcome, "With `include=outcome`")) }),
);

export const EventDetail = named(
  "EventDetail",
  "An event with the notifications that it caused",
  v.object({
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
  }),
);

export const DeleteEvents = object({ before: v.optional(doc(instant, "Only events received before; default: all")) });
