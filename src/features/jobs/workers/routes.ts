import * as v from "valibot";
import { toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import type { PermissionHolder, Principal } from "../../../core/principal.ts";
import { deliveryQueue, isModuleQueue, parseQueueName, type QueueName } from "../../../core/queues.ts";
import { WORKER_CHANNELS, type WorkerChannel } from "../../../core/vocabulary.ts";
import { holderOf, missingPermission } from "../../../http/access.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { route } from "../../../http/route.ts";
import { integer, jsonValue, object, text, uuid } from "../../../http/shapes.ts";
import type { Feature, FeatureServer } from "../../../module/feature.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import type { WorkerChannels } from "../view.ts";
import { isRemoteQueue, type LeasedJob, type WorkerLeases } from "../worker-leases.ts";

const DAY_MS = 86_400_000;

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

const workerId = v.pipe(uuid, v.description("Made by the worker when it starts, and its own as long as it runs"));

const ClaimBody = object({
  workerId,
  host: v.pipe(text(255, 1), v.description("Where it runs, for people who look for it")),
  queues: v.pipe(
    v.array(remoteQueue),
    v.minLength(1, "must name a queue"),
    v.maxLength(50, "must be at most 50 queues"),
    v.description("Looked at in this order"),
    v.transform((names) => [...new Set(names)] as QueueName[]),
  ),
  channels: v.optional(
    v.pipe(
      v.array(v.picklist(WORKER_CHANNELS, `must be one of ${WORKER_CHANNELS.join(", ")}`)),
      v.maxLength(WORKER_CHANNELS.length, "must name each channel once"),
      v.description(
        "Of the first two queues only attempts by these channels: those that the worker can send by; default all",
      ),
    ),
  ),
  max: v.optional(v.pipe(integer(1, 100), v.description("How many jobs at most; default 1"))),
  waitMs: v.optional(
    v.pipe(integer(0, 30_000), v.description("How long to wait for a job when none is ready; default 0")),
  ),
});
type Claim = v.InferOutput<typeof ClaimBody>;

const Claimed = v.object({
  jobs: v.array(
    v.object({
      id: v.string(),
      queue: v.string(),
      kind: v.string(),
      payload: v.pipe(
        v.unknown(),
        v.description(
          "Of a module's job: JSON, as it was made with it. Of delivery.attempt {deliveryId, channel, message}: what the call of the channel's provider needs",
        ),
      ),
      attempt: v.number(),
      maxAttempts: v.number(),
      fence: v.pipe(v.number(), v.description("Names this attempt; to be sent with its end")),
      leaseUntil: v.string(),
      label: v.optional(v.string()),
      correlationId: v.string(),
      runAt: v.pipe(v.string(), v.description("When it was due")),
    }),
  ),
  channels: v.pipe(
    v.array(v.string()),
    v.description("Of the channels that the worker can send by those that this server leaves to workers"),
  ),
});

const RenewBody = object({
  workerId,
  jobs: v.optional(
    v.pipe(
      v.array(uuid),
      v.maxLength(1000, "must be at most 1000 jobs"),
      v.description(
        "The jobs it has in hand. Others that it was given more than a minute ago never reached it, and are taken back",
      ),
    ),
  ),
});

const Renewed = v.object({ leaseUntil: v.string() });

const AttemptParams = object({ id: v.string() });

const fence = v.pipe(integer(1, Number.MAX_SAFE_INTEGER), v.description("As the claim gave it"));

const CompleteBody = object({
  fence,
  result: v.optional(v.pipe(jsonValue(16_384), v.description("JSON of at most 16 KiB, kept for people to read"))),
});

const failEntries = object({
  fence,
  error: v.optional(text(4000, 1)),
  handBack: v.optional(
    v.pipe(
      v.literal(true),
      v.description("In place of an error, from a worker that stops: ready again, as if nobody had tried"),
    ),
  ),
  permanent: v.optional(v.pipe(v.boolean(), v.description("Trying again cannot help: the job is dead; default false"))),
  fault: v.optional(
    v.pipe(
      v.picklist(["target", "provider"], "must be target or provider"),
      v.description(
        "It is not about this attempt alone: the place is gone and is disabled, or the provider refuses everything and is paused",
      ),
    ),
  ),
  since: v.optional(
    v.pipe(
      integer(0, Number.MAX_SAFE_INTEGER),
      v.description("Epoch ms at which the provider knew that the place is gone, where it says so"),
    ),
  ),
  retryAfterMs: v.optional(
    v.pipe(integer(0, DAY_MS), v.description("The next attempt is not before that; the queue's backoff may be longer")),
  ),
});

const FailBody = v.pipe(
  failEntries,
  v.check(({ error, handBack }) => (error === undefined) !== (handBack === undefined), "give error or handBack"),
);

/** What the feature needs besides the services of every module. */
interface WorkersOwn {
  readonly workerLeases: WorkerLeases;
  readonly channels: WorkerChannels;
  readonly principals: {
    /** A principal as it is now; null when its token or account has ended. */
    refresh(principal: Principal): Principal | null;
  };
}

type WorkersContext = WorkersOwn & Pick<CoreServices, "events">;

const PERMISSION = "jobs:work";
const works = { tag: "Jobs", access: { permission: PERMISSION }, method: "POST", maxBodyBytes: 65_536 } as const;
const ends = {
  ...works,
  params: AttemptParams,
  response: v.object({}),
  errors: ["JOB_NOT_FOUND", "INVALID_STATE", "FORBIDDEN"],
} as const;

/** Workers elsewhere, which claim jobs over HTTP with a service token. */
export function workersFeature(own: WorkersOwn): Feature {
  return { name: "workers", version: "1.0.0", register: (server, { events }) => serve(server, { ...own, events }) };
}

function serve(server: FeatureServer, context: WorkersContext): void {
  const { workerLeases } = context;
  context.events.on("system:stopping", () => workerLeases.stop());
  server.route(
    route({
      ...works,
      path: "/api/v1/workers/claim",
      summary: "Take jobs to run, and a lease of a minute for all that the worker has; without any, wait for one",
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
    }),
  );
  server.route(
    route({
      ...works,
      path: "/api/v1/workers/renew",
      summary: "Keep the worker's jobs for another minute",
      body: RenewBody,
      response: Renewed,
      errors: ["FORBIDDEN", "INVALID_STATE"],
      async handle(exchange, { body }) {
        const { tokenId } = serviceOf(exchange);
        return { leaseUntil: toRfc3339(await workerLeases.renew(body.workerId, tokenId, body.jobs)) };
      },
    }),
  );
  server.route(
    route({
      ...ends,
      path: "/api/v1/jobs/:id/complete",
      summary: "The attempt has succeeded",
      body: CompleteBody,
      async handle(exchange, { params, body }) {
        const { tokenId } = serviceOf(exchange);
        await workerLeases.complete({ jobId: params.id, fence: body.fence, tokenId }, body.result);
        return {};
      },
    }),
  );
  server.route(
    route({
      ...ends,
      path: "/api/v1/jobs/:id/fail",
      summary:
        "The attempt has failed: the job is tried again later, or is dead; or the worker stops and hands it back",
      body: FailBody,
      async handle(exchange, { params, body }) {
        const { tokenId } = serviceOf(exchange);
        const { fence, error, permanent: isPermanent = false, retryAfterMs = 0, fault, since } = body;
        const attempt = { jobId: params.id, fence, tokenId };
        if (error === undefined) await workerLeases.release(attempt);
        else await workerLeases.fail({ ...attempt, error, isPermanent, retryAfterMs, fault, since });
        return {};
      },
    }),
  );
}

type ServicePrincipal = PermissionHolder & { readonly tokenId: string };

/** The channels that the worker can send by and that this server leaves to workers. */
function channelsOf({ channels }: WorkersContext, { channels: named }: Pick<Claim, "channels">): WorkerChannel[] {
  return (named ?? WORKER_CHANNELS).filter((channel) => channels.isForWorkers(channel));
}

/**
 * Where the jobs stand: attempts by channel, so that a worker without a mail server is given none
 * that needs one.
 */
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
  exchange.onAbort = () => controller.abort(new Error("the worker has gone away"));
  return controller.signal;
}

/** What a handler needs, and nothing more. */
function leasedView({ id, queue, kind, payload, attempts, maxAttempts, fence, leaseUntil, ...job }: LeasedJob) {
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
