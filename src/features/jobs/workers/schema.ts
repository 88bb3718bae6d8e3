import * as v from "valibot";
import { WORKER_CHANNELS } from "../../../core/vocabulary.ts";
import { integer, jsonValue, object, text, uuid } from "../../../http/shapes.ts";
import { parseQueueName, type QueueName } from "../runner/job.ts";
import { isRemoteQueue } from "../worker-leases.ts";

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

export const ClaimBody = object({
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
export type ClaimBody = v.InferOutput<typeof ClaimBody>;

export const Claimed = v.object({
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

export const RenewBody = object({
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

export const Renewed = v.object({ leaseUntil: v.string() });

export const AttemptParams = object({ id: v.string() });

const fence = v.pipe(integer(1, Number.MAX_SAFE_INTEGER), v.description("As the claim gave it"));

export const CompleteBody = object({
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

export const FailBody = v.pipe(
  failEntries,
  v.check(({ error, handBack }) => (error === undefined) !== (handBack === undefined), "give error or handBack"),
);
