import * as v from "valibot";
import { invalidField } from "../../core/errors.ts";
import type { QueueName } from "../../core/queues.ts";
import { holderOf } from "../../http/access.ts";
import { route } from "../../http/route.ts";
import { pageOf } from "../../http/shapes.ts";
import { type Context, type FeatureServer, feature } from "../../module/feature.ts";
import { BULK_ACTIONS, type BulkAction, type BulkRequest } from "./bulk.ts";
import { countJobsBy, getJob, listJobs } from "./job-list.ts";
import {
  BulkBody,
  BulkReply,
  JobCountQuery,
  JobCountsView,
  JobDetail,
  JobParams,
  JobQuery,
  JobView,
  NoBody,
  QueueParams,
  QueueView,
} from "./schema.ts";
import { queueView, queueViews } from "./view.ts";

export type JobsContext = Context<"runner" | "jobControl" | "queueControl" | "bulk" | "channels">;

const PATH = "/api/v1/jobs";
const QUEUES_PATH = "/api/v1/queues";
const reads = { tag: "Jobs", access: { permission: "jobs:read" } } as const;
const acts = { tag: "Jobs", access: { permission: "jobs:manage" }, params: JobParams } as const;
const actsOnQueue = {
  tag: "Jobs",
  access: { permission: "jobs:manage" },
  method: "POST",
  params: QueueParams,
  body: NoBody,
  errors: ["QUEUE_NOT_FOUND"],
} as const;

/** What an operator does to one job, and the errors that it can have besides those of all. */
const JOB_ACTIONS = [
  ["retry", "Retry a dead or cancelled job, with all attempts of its queue", ["OVERLOADED"]],
  ["cancel", "Cancel a job that is not running", ["JOB_NOT_CANCELLABLE"]],
  ["promote", "Run a scheduled or retrying job now", []],
] as const;
const QUEUE_ACTIONS = [
  ["pause", "Pause a queue until it is resumed, also across restarts; running jobs continue"],
  ["resume", "Resume a paused queue"],
] as const;

const BULK_SUMMARIES: Readonly<Record<BulkAction, string>> = {
  retry: "Retry dead and cancelled jobs",
  cancel: "Cancel jobs that wait",
  promote: "Run scheduled and retrying jobs now",
  delete: "Delete finished jobs with their attempts",
};

/** @throws VALIDATION_FAILED unless there is a filter or a list of ids */
function requireOne({ filter, ids }: Pick<BulkRequest, "filter" | "ids">): void {
  if ((filter === undefined) !== (ids === undefined)) return;
  throw invalidField("body", "filter", "give a filter or ids, not both");
}

/** Queues and jobs for those who operate the server. */
export const jobsFeature = feature("jobs", {
  needs: ["runner", "jobControl", "queueControl", "bulk", "channels", "workerLeases"],
  effects: ({ runner, workerLeases }) => ({
    "jobs-added": ({ jobs }) => runner.enqueued(jobs),
    "jobs-removed": ({ queue, count }) => runner.removed(queue, count),
    "jobs-died"({ jobs }) {
      for (const job of jobs) runner.died(job);
    },
    "queue-changed"({ queue, isPaused }) {
      if (isPaused) runner.pause(queue as QueueName);
      else runner.resume(queue as QueueName);
    },
    "worker-leased": (lease) => workerLeases.leased(lease),
  }),
  register: serve,
});

function serve(server: FeatureServer, context: JobsContext): void {
  serveQueues(server, context);
  const { db, jobControl, bulk } = context;
  server.route(
    route({
      ...reads,
      method: "GET",
      path: PATH,
      id: "listJobs",
      summary: "List jobs, newest first; a filtered page may hold fewer entries than the limit",
      query: JobQuery,
      response: pageOf(JobView),
      errors: ["INVALID_CURSOR"],
      handle: (exchange, { query }) => listJobs(db, holderOf(exchange), query),
    }),
  );
  server.route(
    route({
      ...reads,
      method: "GET",
      path: `${PATH}/:id`,
      id: "getJob",
      summary: "Get a job with its attempts",
      params: JobParams,
      response: JobDetail,
      errors: ["JOB_NOT_FOUND"],
      handle: (exchange, { params }) => getJob(db, holderOf(exchange), params.id),
    }),
  );
  server.route(
    route({
      ...reads,
      method: "GET",
      path: `${PATH}/counts`,
      id: "countJobs",
      summary: "Count the jobs that a filter finds, by state",
      query: JobCountQuery,
      response: JobCountsView,
      handle: (exchange, { query }) => countJobsBy(db, holderOf(exchange), query),
    }),
  );
  for (const action of BULK_ACTIONS)
    server.route(
      route({
        tag: "Jobs",
        access: { permission: "jobs:manage" },
        method: "POST",
        path: `${PATH}/${action}`,
        id: `${action}Jobs`,
        summary: BULK_SUMMARIES[action],
        details:
          "One request changes at most 10 000 jobs in slices and then has a `nextCursor`. A job that the action " +
          "does not accept is skipped.",
        body: BulkBody,
        response: BulkReply,
        errors: ["INVALID_CURSOR", "OVERLOADED"],
        handle(exchange, { body: { dryRun = false, ...which } }) {
          requireOne(which);
          return bulk(holderOf(exchange), action, { ...which, dryRun });
        },
      }),
    );
  for (const [action, summary, errors] of JOB_ACTIONS)
    server.route(
      route({
        ...acts,
        method: "POST",
        path: `${PATH}/:id/${action}`,
        id: `${action}Job`,
        summary,
        body: NoBody,
        response: JobDetail,
        errors: ["JOB_NOT_FOUND", "INVALID_STATE", ...errors],
        async handle(exchange, { params }) {
          await jobControl[action](params.id);
          return getJob(db, holderOf(exchange), params.id);
        },
      }),
    );
  server.route(
    route({
      ...acts,
      method: "DELETE",
      path: `${PATH}/:id`,
      id: "deleteJob",
      summary: "Delete a finished job with its attempts",
      status: 204,
      errors: ["JOB_NOT_FOUND", "INVALID_STATE"],
      async handle(_exchange, { params }) {
        await jobControl.delete(params.id);
      },
    }),
  );
}

/** Looking at queues, and stopping, starting and emptying them. */
function serveQueues(server: FeatureServer, context: JobsContext): void {
  const { queueControl } = context;
  /** @throws QUEUE_NOT_FOUND */
  const nameOf = async (ref: string): Promise<QueueName> => (await queueView(context, ref)).name;
  server.route(
    route({
      ...reads,
      method: "GET",
      path: QUEUES_PATH,
      id: "listQueues",
      summary: "List all queues with their job counts",
      returns: "All queues",
      response: v.object({ queues: v.array(QueueView) }),
      handle: async () => ({ queues: await queueViews(context) }),
    }),
  );
  server.route(
    route({
      ...reads,
      method: "GET",
      path: `${QUEUES_PATH}/:name`,
      id: "getQueue",
      summary: "Get a queue with its job counts",
      params: QueueParams,
      response: QueueView,
      errors: ["QUEUE_NOT_FOUND"],
      handle: (_exchange, { params }) => queueView(context, params.name),
    }),
  );
  for (const [action, summary] of QUEUE_ACTIONS)
    server.route(
      route({
        ...actsOnQueue,
        path: `${QUEUES_PATH}/:name/${action}`,
        id: `${action}Queue`,
        summary,
        response: QueueView,
        async handle(_exchange, { params }) {
          await queueControl[action](await nameOf(params.name));
          return queueView(context, params.name);
        },
      }),
    );
  server.route(
    route({
      ...actsOnQueue,
      path: `${QUEUES_PATH}/:name/requeue-dead`,
      id: "requeueDeadJobs",
      summary: "Retry all dead jobs of a queue; a job with a dedupe key in use stays dead",
      returns: "The number of requeued jobs",
      response: v.object({ requeued: v.number() }),
      errors: ["QUEUE_NOT_FOUND", "OVERLOADED"],
      handle: async (_exchange, { params }) => ({
        requeued: await queueControl.requeueDead(await nameOf(params.name)),
      }),
    }),
  );
  server.route(
    route({
      ...actsOnQueue,
      path: `${QUEUES_PATH}/:name/drain`,
      id: "drainQueue",
      summary: "Cancel all scheduled, ready and retrying jobs of a queue; running jobs continue",
      returns: "The number of cancelled jobs",
      response: v.object({ cancelled: v.number() }),
      handle: async (_exchange, { params }) => ({ cancelled: await queueControl.drain(await nameOf(params.name)) }),
    }),
  );
}
