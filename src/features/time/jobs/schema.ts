import * as v from "valibot";
import { parseQueueName } from "../../../core/limits/queues.ts";
import {
  doc,
  example,
  instant,
  named,
  object,
  pageEntries,
  pattern,
  queryList,
  text,
  uuid,
} from "../../../http/api/shapes.ts";
import { JOB_STATES } from "../../../store/schema.ts";

const queueName = v.pipe(
  v.string(),
  v.description("Name of a queue, also with the suffix `-queue`"),
  v.transform((name): string | undefined => parseQueueName(name)),
  v.string("must be the name of a queue"),
);

export const JobQuery = object({
  queue: v.optional(queueName),
  kind: v.optional(
    doc(pattern(/^[\w.:-]{1,128}$/, "must be a kind of job, such as timer"), "Kind of job, such as `timer`"),
  ),
  state: v.optional(
    doc(queryList(v.picklist(JOB_STATES, `must be one of ${JOB_STATES.join(", ")}`)), "States, separated by commas"),
  ),
  label: v.optional(doc(text(128, 1), "Label, exactly")),
  q: v.optional(doc(text(128, 1), "Part of the label, kind, last error or payload, as the caller sees them")),
  from: v.optional(doc(instant, "Created at or after")),
  to: v.optional(doc(instant, "Created before")),
  ...pageEntries(1000),
});
const { limit: _limit, page: _page, offset: _offset, cursor, ...jobFilters } = JobQuery.entries;

/** The filters of a list, for counts. */
export const JobCountQuery = object(jobFilters);

export type JobQuery = v.InferOutput<typeof JobQuery>;
export type JobFilters = Omit<JobQuery, "limit" | "page" | "offset" | "cursor"> & {
  /** The only user whose labels of timers are compared. Default: those of all. */
  readonly readerId?: string;
};

const { state: _state, ...otherFilters } = jobFilters;

export const BulkBody = example(
  object({
    filter: v.optional(
      doc(
        object({
          ...otherFilters,
          state: v.optional(doc(v.array(v.picklist(JOB_STATES)), "States; default: all that the action accepts")),
        }),
        "The jobs to change, as the filters of the list; `{}`: all that the action accepts",
      ),
    ),
    ids: v.optional(
      doc(v.pipe(v.array(uuid), v.minLength(1), v.maxLength(1000)), "The jobs to change, instead of a filter"),
    ),
    dryRun: v.optional(doc(v.boolean(), "Only counts; default false")),
    cursor,
  }),
  { filter: { queue: "digest", state: ["dead"] }, dryRun: true },
);

const count = v.number();
export const BulkReply = named(
  "BulkResult",
  "What an action on many jobs has done",
  v.object({
    matched: doc(count, "Jobs that were found in a state that the action accepts"),
    changed: doc(count, "Jobs that were changed; with `dryRun` those that would be"),
    skipped: doc(count, "Others, such as jobs with a dedupe key in use, or that have started meanwhile"),
    nextCursor: doc(v.nullable(v.string()), "Send the request again with this `cursor`; null when all are done"),
  }),
);

export const JobCountsView = named(
  "JobCounts",
  "Numbers of jobs by state",
  v.object({
    total: count,
    states: v.object(Object.fromEntries(JOB_STATES.map((state) => [state, count]))),
    complete: doc(v.boolean(), "False: older finished jobs were not counted"),
  }),
);

export const JobParams = object({ id: doc(v.string(), "Id of the job") });
export const QueueParams = object({ name: doc(v.string(), "Name of the queue") });
/** Body of actions that need no more than their path. */
export const NoBody = object({});

const anyJson = doc(v.unknown(), "JSON with secrets masked as ***; null in lists when longer than 4 KiB");

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

export const JobView = named("Job", "A job", v.object(jobEntries));

export const JobDetail = named(
  "JobDetail",
  "A job with its attempts",
  v.object({
    ...jobEntries,
    history: doc(
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
      "Attempts, numbered across retries; the newest 100",
    ),
  }),
);

export const QueueView = named(
  "Queue",
  "A queue with its job counts",
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
