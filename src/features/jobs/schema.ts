import * as v from "valibot";
import { parseQueueName } from "../../core/queues.ts";
import { pageEntries } from "../../http/pagination.ts";
import { instant, named, object, pattern, queryList, text } from "../../http/shapes.ts";
import { JOB_STATES } from "../../store/schema.ts";

const queueName = v.pipe(
  v.string(),
  v.description("Name of a queue; the names that end in -queue stand for the same"),
  v.transform((name): string | undefined => parseQueueName(name)),
  v.string("must be the name of a queue"),
);

export const JobQuery = object({
  queue: v.optional(queueName),
  kind: v.optional(pattern(/^[\w.:-]{1,128}$/, "must be a kind of job, such as timer")),
  state: v.optional(queryList(v.picklist(JOB_STATES, `must be one of ${JOB_STATES.join(", ")}`))),
  label: v.optional(text(128, 1)),
  q: v.optional(v.pipe(text(128, 1), v.description("Text in the label, the kind, or the last error"))),
  from: v.optional(instant),
  to: v.optional(instant),
  ...pageEntries(1000),
});
export type JobQuery = v.InferOutput<typeof JobQuery>;
export type JobFilters = Omit<JobQuery, "limit" | "page" | "offset" | "cursor">;

export const JobParams = object({ id: v.string() });
export const QueueParams = object({ name: v.string() });
/** Of actions that need no more than their path. */
export const NoBody = object({});

const anyJson = v.pipe(
  v.unknown(),
  v.description(
    "JSON, in which members that are named like secrets show as ***; null in a list where it is longer than 4 KiB",
  ),
);

const jobEntries = {
  id: v.string(),
  queue: v.string(),
  kind: v.string(),
  state: v.picklist(JOB_STATES),
  priority: v.number(),
  label: v.nullable(v.string()),
  payload: anyJson,
  payloadBytes: v.number(),
  runAt: v.string(),
  attempts: v.number(),
  maxAttempts: v.number(),
  dedupeKey: v.nullable(v.string()),
  module: v.nullable(v.string()),
  createdBy: v.nullable(v.string()),
  scheduleId: v.nullable(v.string()),
  correlationId: v.nullable(v.string()),
  lastError: v.nullable(v.string()),
  progress: anyJson,
  result: anyJson,
  startedAt: v.nullable(v.string()),
  finishedAt: v.nullable(v.string()),
  createdAt: v.string(),
};

export const JobView = named("Job", v.object(jobEntries));

export const JobDetail = named(
  "JobDetail",
  v.object({
    ...jobEntries,
    history: v.pipe(
      v.array(
        v.object({
          attempt: v.number(),
          startedAt: v.string(),
          endedAt: v.nullable(v.string()),
          outcome: v.picklist(["running", "succeeded", "retrying", "dead", "lost"]),
          error: v.nullable(v.string()),
          worker: v.string(),
        }),
      ),
      v.description("Attempts, numbered over all retries; at most the newest 100"),
    ),
  }),
);

export const QueueView = named(
  "Queue",
  v.object({
    name: v.string(),
    ready: v.number(),
    scheduled: v.number(),
    running: v.number(),
    retrying: v.number(),
    dead: v.number(),
    paused: v.boolean(),
    oldestReadyAgeMs: v.nullable(v.number()),
    concurrency: v.number(),
    maxAttempts: v.number(),
  }),
);
