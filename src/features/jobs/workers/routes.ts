import * as v from "valibot";
import { toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Principal, UserPrincipal } from "../../../core/principal.ts";
import { WORKER_CHANNELS, type WorkerChannel } from "../../../core/vocabulary.ts";
import { missingPermission, userOf } from "../../../http/access.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { route } from "../../../http/route.ts";
import type { Feature, FeatureServer } from "../../../module/feature.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import { deliveryQueue, isModuleQueue, type QueueName } from "../runner/job.ts";
import type { WorkerChannels } from "../view.ts";
import type { LeasedJob, WorkerLeases } from "../worker-leases.ts";
import { AttemptParams, ClaimBody, Claimed, CompleteBody, FailBody, RenewBody, Renewed } from "./schema.ts";

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

/** Workers elsewhere, which claim jobs over HTTP with a service token (contract 4.12, D35). */
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
        if (error === undefined) await workerLeases.handBack(attempt);
        else await workerLeases.fail({ ...attempt, error, isPermanent, retryAfterMs, fault, since });
        return {};
      },
    }),
  );
}

type ServicePrincipal = UserPrincipal & { readonly tokenId: string };

/** The channels that the worker can send by and that this server leaves to workers. */
function channelsOf({ channels }: WorkersContext, { channels: named }: ClaimBody): WorkerChannel[] {
  return (named ?? WORKER_CHANNELS).filter((channel) => channels.isForWorkers(channel));
}

/** Where the jobs stand: attempts by channel, so that a worker without a mail server is given none that needs one. */
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
  const principal = userOf(exchange);
  if (principal.tokenId === null) throw new PrismError("FORBIDDEN", "Workers use a service token");
  return { ...principal, tokenId: principal.tokenId };
}

/** While a claim waited its token may have been revoked, or the right been taken. @throws TOKEN_INVALID, UNAUTHORIZED_ROLE */
function requireStill({ principals }: WorkersContext, principal: UserPrincipal): void {
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
