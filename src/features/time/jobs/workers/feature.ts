import * as v from "valibot";
import type { PermissionHolder } from "../../../../core/caller.ts";
import { PrismError } from "../../../../core/errors.ts";
import { deliveryQueue, isModuleQueue, parseQueueName, type QueueName } from "../../../../core/limits/queues.ts";
import { WORKER_CHANNELS, type WorkerChannel } from "../../../../core/text/vocabulary.ts";
import { DAY_MS, toRfc3339 } from "../../../../core/time/clock.ts";
import { doc, example, integer, jsonValue, named, object, text, uuid } from "../../../../http/api/shapes.ts";
import { holderOf, missingPermission } from "../../../../http/server/access.ts";
import type { Exchange } from "../../../../http/server/exchange.ts";
import { type Context, type FeatureServer, feature } from "../../../../module/feature.ts";
import { isRemoteQueue, type LeaseOfJob } from "../worker-leases.ts";

const remoteQueue = v.pipe(
  v.string(),
  v.description("notification-delivery, push-notification, or module:<name>"),
  v.transform(remoteQueueOf),
  v.string("must be notification-delivery, push-notification, or module:<name>"),
);

/** @returns undefined for what is no queue, or one whose jobs only the server itself can run. */
function remoteQueueOf(name: string): string | undefined {
  const queue = parseQueueName(name);
  return queue !== undefined && isRemoteQueue(queue) ? queue : undefined;
}

const workerId = doc(uuid, "UUID that the worker generates when it starts");

const ClaimBody = example(
  object({
    workerId,
    host: doc(text(255, 1), "Host name of the worker, shown to operators"),
    queues: v.pipe(
      v.array(remoteQueue),
      v.minLength(1, "must name a queue"),
      v.maxLength(50, "must be at most 50 queues"),
      v.description("Queues, in order of preference"),
      v.transform((names) => [...new Set(names)] as QueueName[]),
    ),
    channels: v.optional(
      doc(
        v.pipe(
          v.array(v.picklist(WORKER_CHANNELS, `must be one of ${WORKER_CHANNELS.join(", ")}`)),
          v.maxLength(WORKER_CHANNELS.length, "must name each channel once"),
        ),
        "Channels that the worker can send by; default: all",
      ),
    ),
    max: v.optional(doc(integer(1, 100), "Largest number of jobs; default 1")),
    waitMs: v.optional(doc(integer(0, 30_000), "Long poll: time to wait for a job; default 0")),
  }),
  { workerId: "0198c0de-0000-7000-8000-00000000a001", host: "worker-1", queues: ["notification-delivery"], max: 10 },
);
type Claim = v.InferOutput<typeof ClaimBody>;

const Claimed = named(
  "ClaimedJobs",
  "The claimed jobs; none when the wait ended",
  v.object({
    jobs: v.array(
      v.object({
        id: v.string(),
        queue: v.string(),
        kind: v.string(),
        payload: doc(v.unknown(), "Of a module's job its JSON; of `delivery.attempt` `{deliveryId, channel, message}`"),
        attempt: v.number(),
        maxAttempts: v.number(),
        fence: doc(v.number(), "Number of this attempt; send it with complete and fail"),
        leaseUntil: v.string(),
        label: v.optional(v.string()),
        correlationId: v.string(),
        runAt: doc(v.string(), "Due time"),
      }),
    ),
    channels: doc(v.array(v.string()), "Channels of the worker that this server leaves to workers"),
  }),
);

const RenewBody = example(
  object({
    workerId,
    jobs: v.optional(
      doc(
        v.pipe(v.array(uuid), v.maxLength(1000, "must be at most 1000 jobs")),
        "Ids of the jobs that the worker runs; others that were claimed over a minute ago are released",
      ),
    ),
  }),
  { workerId: "0198c0de-0000-7000-8000-00000000a001", jobs: [] },
);

const Renewed = named("RenewedLeases", "The new end of the leases", v.object({ leaseUntil: v.string() }));

const AttemptParams = object({ id: doc(v.string(), "Id of the job") });

const fence = doc(integer(1, Number.MAX_SAFE_INTEGER), "`fence` of the claim");

const CompleteBody = example(
  object({
    fence,
    result: v.optional(doc(jsonValue(16_384), "JSON of at most 16 KiB, shown to operators")),
  }),
  { fence: 1, result: { sent: true } },
);

const failEntries = object({
  fence,
  error: v.optional(doc(text(4000, 1), "Error text; this or `handBack`")),
  handBack: v.optional(doc(v.literal(true), "Releases the job instead; the attempt is not counted")),
  permanent: v.optional(doc(v.boolean(), "A retry cannot succeed, the job is dead; default false")),
  fault: v.optional(
    doc(
      v.picklist(["target", "provider"], "must be target or provider"),
      "`target`: the target is gone and is disabled; `provider`: the provider refuses all and is paused",
    ),
  ),
  since: v.optional(
    doc(integer(0, Number.MAX_SAFE_INTEGER), "Epoch ms at which the target was gone, as the provider reports"),
  ),
  retryAfterMs: v.optional(doc(integer(0, DAY_MS), "Earliest next attempt; the backoff of the queue may be longer")),
});

const FailBody = example(
  v.pipe(
    failEntries,
    v.check(({ error, handBack }) => (error === undefined) !== (handBack === undefined), "give error or handBack"),
  ),
  { fence: 1, error: "connection refused" },
);

type WorkersContext = Context<"workerLeases" | "channels" | "principals">;

const PERMISSION = "jobs:work";
const works = { tag: "Workers", access: { permission: PERMISSION }, method: "POST", maxBodyBytes: 65_536 } as const;
const ends = {
  ...works,
  params: AttemptParams,
  response: v.object({}),
  errors: ["JOB_NOT_FOUND", "INVALID_STATE", "FORBIDDEN"],
} as const;

/** Workers elsewhere, which claim jobs over HTTP with a service token. */
export const workersFeature = feature("workers", {
  needs: ["workerLeases", "channels", "principals"],
  register: serve,
});

function serve(server: FeatureServer, context: WorkersContext): void {
  const { workerLeases } = context;
  context.events.on("system:stopping", () => workerLeases.stop());
  server.route({
    ...works,
    path: "/api/v1/workers/claim",
    id: "claimJobs",
    summary: "Claim jobs with a lease of one minute, or wait for one",
    body: ClaimBody,
    response: Claimed,
    errors: ["FORBIDDEN", "INVALID_STATE", "OVERLOADED"],
    async handle(exchange, { body }) {
      const worker = serviceOf(exchange);
      const { workerId: id, host, max = 1, waitMs = 0 } = body;
      const channels = channelsOf(context, body);
      const jobs = await workerLeases.claim({
        worker: { id, host, tokenId: worker.tokenId },
        queues: queuesOf(context, body.queues, channels),
        max,
        waitMs,
        signal: goneSignal(exchange),
        requireStill: () => requireStill(context, worker),
      });
      return { jobs: jobs.map(leasedView), channels };
    },
  });
  server.route({
    ...works,
    path: "/api/v1/workers/renew",
    id: "renewLeases",
    summary: "Renew the leases of a worker's jobs for one minute",
    body: RenewBody,
    response: Renewed,
    errors: ["FORBIDDEN", "INVALID_STATE"],
    async handle(exchange, { body }) {
      const { tokenId } = serviceOf(exchange);
      return { leaseUntil: toRfc3339(await workerLeases.renew(body.workerId, tokenId, body.jobs)) };
    },
  });
  server.route({
    ...ends,
    path: "/api/v1/jobs/:id/complete",
    id: "completeJob",
    summary: "Report that an attempt succeeded",
    returns: "Accepted",
    body: CompleteBody,
    async handle(exchange, { params, body }) {
      const { tokenId } = serviceOf(exchange);
      await workerLeases.complete({ jobId: params.id, fence: body.fence, tokenId }, body.result);
      return {};
    },
  });
  server.route({
    ...ends,
    path: "/api/v1/jobs/:id/fail",
    id: "failJob",
    summary: "Report that an attempt failed, or release the job",
    returns: "Accepted",
    body: FailBody,
    async handle(exchange, { params, body }) {
      const { tokenId } = serviceOf(exchange);
      const { fence, error, permanent: isPermanent = false, retryAfterMs = 0, fault, since } = body;
      const attempt = { jobId: params.id, fence, tokenId };
      if (error === undefined) await workerLeases.release(attempt);
      else await workerLeases.fail({ ...attempt, error, isPermanent, retryAfterMs, fault, since });
      return {};
    },
  });
}

type ServicePrincipal = PermissionHolder & { readonly tokenId: string };

/** The channels that the worker can send by and that this server leaves to workers. */
function channelsOf({ channels }: WorkersContext, { channels: named }: Pick<Claim, "channels">): WorkerChannel[] {
  return (named ?? WORKER_CHANNELS).filter((channel) => channels.isForWorkers(channel));
}

/** Attempts' queues by channel, so that a worker without a mail server is given no mails. */
function queuesOf(
  { channels }: WorkersContext,
  named: readonly QueueName[],
  served: readonly WorkerChannel[],
): readonly QueueName[] {
  return named.flatMap((name) =>
    isModuleQueue(name)
      ? [name]
      : served.filter((channel) => deliveryQueue(channel) === name).map((channel) => channels.queueOf(channel)),
  );
}

/** A lease is bound to a token, and a login has none. @throws FORBIDDEN */
function serviceOf(exchange: Exchange): ServicePrincipal {
  const principal = holderOf(exchange);
  if (principal.tokenId === null) throw new PrismError("FORBIDDEN", "Workers use a service token");
  return { ...principal, tokenId: principal.tokenId };
}

/**
 * While a claim waited its token may have been revoked, or the right been taken. @throws
 * TOKEN_INVALID, UNAUTHORIZED_ROLE
 */
function requireStill({ principals }: WorkersContext, principal: PermissionHolder): void {
  const current = principals.refresh(principal);
  if (!current || current.kind === "apiKey") throw new PrismError("TOKEN_INVALID", "The service token has ended");
  if (!current.permissions.has(PERMISSION)) throw missingPermission(PERMISSION);
}

/** Aborts when the client goes away. */
function goneSignal(exchange: Exchange): AbortSignal {
  const controller = new AbortController();
  exchange.onAbort = () => controller.abort(new Error("the worker has disconnected"));
  return controller.signal;
}

/** The members of a job that a handler needs. */
function leasedView({ id, queue, kind, payload, attempts, maxAttempts, fence, leaseUntil, ...job }: LeaseOfJob) {
  return {
    id,
    queue,
    kind,
    payload: JSON.parse(payload) as unknown,
    attempt: attempts,
    maxAttempts,
    fence,
    leaseUntil: toRfc3339(leaseUntil),
    ...(job.label === null ? {} : { label: job.label }),
    correlationId: job.correlationId ?? id,
    runAt: toRfc3339(job.runAt),
  };
}
