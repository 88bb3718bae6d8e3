import { join } from "node:path";
import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { invalidField } from "../../../core/errors.ts";
import type { QueueName } from "../../../core/limits/queues.ts";
import { type Counter, type Histogram, type Metrics, SECONDS_BUCKETS } from "../../../core/metrics.ts";
import { route } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type Context, type FeatureCore, type FeatureServer, feature } from "../../../module/feature.ts";
import { BULK_ACTIONS, type BulkAction, type BulkRequest, type BulkResult, changeJobs } from "./bulk.ts";
import { jobFindings } from "./findings.ts";
import { countJobsBy, getJob, listJobs } from "./job-list.ts";
import { JobService } from "./job-service.ts";
import { JobHooks } from "./moved-jobs.ts";
import { type JobControl, jobControl, pausedQueues, type QueueControl, queueControl } from "./operator.ts";
import { JOB_SWEEPS } from "./retention.ts";
import type { AttemptFacts } from "./runner/job.ts";
import { BegunJobs } from "./runner/job-execution.ts";
import { JobRunner } from "./runner/runner.ts";
import { countWaitingJobs, type JobCount, recentJobCounts } from "./runner/runner-queue.ts";
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
import { WorkerLeases } from "./worker-leases.ts";

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

/** Actions of an operator on one job, and the errors of each. */
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

declare module "../../../module/feature.ts" {
  interface Offers extends JobServices {}
}

/** Queues and jobs for those who operate the server. */
export const jobsFeature = feature("jobs", {
  needs: [],
  uses: ["channels"],
  open: (core) => openJobs(core),
  findings: jobFindings,
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
  dueWork: ({ workerLeases }) => [workerLeases.due],
  register: serve,
  async prepare({ jobs, log }) {
    const reclaimed = await jobs.reclaim();
    if (reclaimed > 0) log.info({ jobs: reclaimed }, "requeued the jobs of a process that has ended");
  },
  start: ({ runner }) => runner.start(),
  reload: ({ runner }) => runner.reload(),
  stop: ({ runner }, leftMs) => runner.stop(leftMs()),
  sweeps: () => JOB_SWEEPS,
});

function serve(server: FeatureServer, context: JobsContext): void {
  serveQueues(server, context);
  const { db, jobControl, bulk } = context;
  server.route({
    ...reads,
    method: "GET",
    path: PATH,
    id: "listJobs",
    summary: "List jobs, newest first; a filtered page may hold fewer entries than the limit",
    query: JobQuery,
    response: pageOf(JobView),
    errors: ["INVALID_CURSOR"],
    handle: (exchange, { query }) => listJobs(db, holderOf(exchange), query),
  });
  server.route({
    ...reads,
    method: "GET",
    path: `${PATH}/:id`,
    id: "getJob",
    summary: "Get a job with its attempts",
    params: JobParams,
    response: JobDetail,
    errors: ["JOB_NOT_FOUND"],
    handle: (exchange, { params }) => getJob(db, holderOf(exchange), params.id),
  });
  server.route({
    ...reads,
    method: "GET",
    path: `${PATH}/counts`,
    id: "countJobs",
    summary: "Count the jobs that a filter finds, by state",
    query: JobCountQuery,
    response: JobCountsView,
    handle: (exchange, { query }) => countJobsBy(db, holderOf(exchange), query),
  });
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
  server.route({
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
  });
}

/** Looking at queues, and stopping, starting and emptying them. */
function serveQueues(server: FeatureServer, context: JobsContext): void {
  const { queueControl } = context;
  /** @throws QUEUE_NOT_FOUND */
  const nameOf = async (ref: string): Promise<QueueName> => (await queueView(context, ref)).name;
  server.route({
    ...reads,
    method: "GET",
    path: QUEUES_PATH,
    id: "listQueues",
    summary: "List all queues with their job counts",
    returns: "All queues",
    response: v.object({ queues: v.array(QueueView) }),
    handle: async () => ({ queues: await queueViews(context) }),
  });
  server.route({
    ...reads,
    method: "GET",
    path: `${QUEUES_PATH}/:name`,
    id: "getQueue",
    summary: "Get a queue with its job counts",
    params: QueueParams,
    response: QueueView,
    errors: ["QUEUE_NOT_FOUND"],
    handle: (_exchange, { params }) => queueView(context, params.name),
  });
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
  server.route({
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
  });
  server.route({
    ...actsOnQueue,
    path: `${QUEUES_PATH}/:name/drain`,
    id: "drainQueue",
    summary: "Cancel all scheduled, ready and retrying jobs of a queue; running jobs continue",
    returns: "The number of cancelled jobs",
    response: v.object({ cancelled: v.number() }),
    handle: async (_exchange, { params }) => ({ cancelled: await queueControl.drain(await nameOf(params.name)) }),
  });
}

interface QueueMetrics {
  readonly duration: Histogram;
  readonly lateness: Histogram;
  readonly outcomes: Map<AttemptFacts["outcome"], Counter>;
}

/**
 * Counts job attempts as they end. There are few queues: the built-in ones and one per module.
 * @returns the function that counts one attempt
 */
function attemptMetrics(metrics: Metrics): (attempt: AttemptFacts) => void {
  const durations = metrics.histogram("prism_job_duration_seconds", "Time of one attempt by queue", SECONDS_BUCKETS);
  const lateness = metrics.histogram(
    "prism_job_lateness_seconds",
    "How long after its time a job was claimed",
    SECONDS_BUCKETS,
  );
  const attempts = metrics.counter("prism_job_attempts_total", "Attempts at jobs by queue and outcome");
  // Cached by name: rendering the labels costs more than counting.
  const queues = new Map<QueueName, QueueMetrics>();
  const newQueue = (queue: QueueName): QueueMetrics => {
    const of = { duration: durations({ queue }), lateness: lateness({ queue }), outcomes: new Map() };
    queues.set(queue, of);
    return of;
  };
  return ({ queue, outcome, durationMs, latenessMs }) => {
    const of = queues.get(queue) ?? newQueue(queue);
    of.duration.observe(durationMs / 1000);
    of.lateness.observe(latenessMs / 1000);
    let counter = of.outcomes.get(outcome);
    if (!counter) {
      counter = attempts({ queue, outcome });
      of.outcomes.set(outcome, counter);
    }
    counter.add();
  };
}

/** File in the data directory. */
const BEGUN_FILE = "jobs.begun";

interface JobServices {
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly jobControl: JobControl;
  readonly queueControl: QueueControl;
  /** Actions of operators on many jobs. */
  bulk(caller: PermissionHolder, action: BulkAction, request: BulkRequest): Promise<BulkResult>;
  readonly workerLeases: WorkerLeases;
  /** All jobs by queue and state, as of the last seconds. */
  countJobs(): Promise<readonly JobCount[]>;
}

/** Opens the job table's runner, and the services of features and operators. */
function openJobs(core: FeatureCore): JobServices {
  const { db, audit, committer, reader, clock, metrics, settings, config, events, isReplicated } = core;
  const log = core.log.namespace("jobs");
  const begun = new BegunJobs(join(config.dataDir, BEGUN_FILE));
  const onAttempt = attemptMetrics(metrics);
  const settingsOf = settings.queue.bind(settings);
  const runner = new JobRunner({
    committer,
    reader,
    clock,
    log,
    begun,
    isReplicated,
    settingsOf,
    countWaiting: () => countWaitingJobs(db.read, db.scan),
    onAttempt,
    onDead: (job) => events.emit("job:dead", job),
    onReady: (queue) => workerLeases.wake(queue),
  });
  for (const queue of pausedQueues(reader)) runner.pause(queue);
  const hooks = new JobHooks();
  const jobs = new JobService({ db, clock, runner, hooks, settingsOf, committer, begun });
  const workerLeases = new WorkerLeases({ db, reader, clock, log, runner, hooks, settingsOf, jobs, onAttempt });
  const operator = { db, clock, runner, hooks, settingsOf, audit };
  return {
    runner,
    jobs,
    jobControl: jobControl(operator),
    queueControl: queueControl(operator),
    bulk: changeJobs.bind(null, operator),
    workerLeases,
    countJobs: recentJobCounts(db.scan, clock),
  };
}
