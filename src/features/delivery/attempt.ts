import { deliveryQueue } from "../../core/limits/queues.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { COMPLETED, type MovedJob, type RunningJob } from "../time/jobs/index.ts";
import { type Accepted, callChannel, callWithin, NoAnswer, type TargetSource, Throttled } from "./channel.ts";
import type { CircuitBreaker } from "./circuits.ts";
import {
  type AttemptPayload,
  type DeliveryContext,
  type DeliveryFacts,
  type DeliveryReason,
  findDelivery,
  heldUntil,
  isOver,
  isPage,
  isPush,
  type Preferences,
  updateDelivery,
} from "./deliveries.ts";
import {
  type AttemptJob,
  type AttemptRoute,
  longestPauseMs,
  postpone,
  recordBegin,
  recordCompletion,
  recordDelivered,
  recordFailure,
  skip,
  waitAsAsked,
  waitForProvider,
} from "./outcome.ts";
import { findPage } from "./pages/store.ts";
import { limitsOf, type TargetCall } from "./target-queues.ts";

/**
 * Makes an attempt at one delivery: a transaction that records the start, the call, and a
 * transaction that updates delivery and job together. After a crash in between it is repeated with
 * the same id (at least once). Attempts to one target run in the order of the notifications.
 */
export async function attemptDelivery(
  context: DeliveryContext,
  job: RunningJob,
  signal: AbortSignal,
): Promise<typeof COMPLETED | undefined> {
  const { deliveryId } = job.payload as AttemptPayload;
  const { db, jobs, channels, queues } = context;
  const planned = await findDelivery(deliveryId, db.read);
  if (!planned) return undefined;
  const { channel, target } = planned.delivery;
  if (isOver(planned) || channels.isForWorkers(channel)) {
    queues.forget(keyOf(planned.delivery), job.id);
    if (isOver(planned)) return undefined;
    // Planned before the channel was assigned to remote workers.
    await db.write((trx) => jobs.moveTo(channels.queueOf(channel), job, trx));
    return COMPLETED;
  }
  const source = await channels.of(channel)?.sourceOf?.(target);
  return queues.call(callOf(context, job, planned, source, signal));
}

function callOf(
  context: DeliveryContext,
  job: RunningJob,
  planned: DeliveryFacts,
  source: TargetSource | undefined,
  signal: AbortSignal,
): TargetCall<typeof COMPLETED | undefined> {
  const { db, clock, settings } = context;
  const { channel, id } = planned.delivery;
  const { concurrency } = settings.queue(deliveryQueue(channel));
  return {
    jobId: job.id,
    target: keyOf(planned.delivery),
    limits: limitsOf({ channel, ...source }, concurrency),
    run: async () => {
      signal.throwIfAborted();
      const found = await findDelivery(id, db.read);
      if (!found || isOver(found)) return undefined;
      await make(context, job, found, source, signal);
      return COMPLETED;
    },
    defer: async (waitMs) => {
      await postpone(context, job, planned, clock.now() + waitMs, "behind earlier ones");
      return COMPLETED;
    },
  };
}

async function make(
  context: DeliveryContext,
  job: RunningJob,
  found: DeliveryFacts,
  source: TargetSource | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { circuits, clock } = context;
  const host = source && circuits.ofHost(found.delivery.channel, source.host);
  const waitMs = host?.waitMs() ?? 0;
  if (waitMs > 0) {
    await waitForProvider(context, job, found, clock.now() + waitMs);
    return;
  }
  try {
    const route = await routeOf(context, job, found);
    if (route) await send(context, job, found, { ...route, host }, signal).finally(() => route.circuit.abandoned());
  } finally {
    host?.abandoned();
  }
}

async function send(
  context: DeliveryContext,
  job: RunningJob,
  found: DeliveryFacts,
  { channel, circuit, host }: AttemptRoute & { readonly host: CircuitBreaker | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { notification, offset } = found;
  const turnMs = (await channel.turnMs?.(found.delivery)) ?? 0;
  if (turnMs > 0) {
    await waitAsAsked(context, job, found, new Throttled("the target's rate is used up", turnMs, { isOwnRate: true }));
    return;
  }
  const delivery = await recordBegin(context, found);
  await job.begun();
  let accepted: Accepted;
  try {
    accepted = await callWithin((limit) => callChannel(channel, { delivery, notification, offset }, limit), signal);
  } catch (error) {
    // The server is stopping: the job is released and restarts with the same id.
    if (signal.aborted) throw error;
    if (error instanceof NoAnswer) host?.failed(error);
    else host?.answered();
    await recordFailure(context, job, found, { channel, circuit }, error);
    return;
  }
  host?.answered();
  circuit.accepted();
  await recordDelivered(context, job, found, accepted);
}

/** Checks what may have changed since planning. @returns undefined if the attempt ended or waits */
export async function routeOf(
  context: DeliveryContext,
  job: AttemptJob,
  found: DeliveryFacts,
): Promise<AttemptRoute | undefined> {
  const { clock, channels, circuits, settings } = context;
  const { delivery, notification, user } = found;
  const now = clock.now();
  const channel = channels.get(delivery.channel);
  const obstacle = (await mirrorOf(context, found)) ?? obstacleOf(found, now, settings.delivery.pushAlways);
  if (!channel || obstacle) {
    await skip(context, job, found, obstacle ?? "channel not configured");
    return undefined;
  }
  const prefs = JSON.parse(user.prefs) as Preferences;
  const quietUntil = heldUntil(prefs, user.timezone, delivery.channel, notification, now);
  if (quietUntil !== null) {
    await postpone(context, job, found, quietUntil, "quiet hours");
    return undefined;
  }
  const circuit = circuits.of(channel, delivery.target);
  const waitMs = circuit.waitMs(longestPauseMs(found));
  if (waitMs === 0) return { channel, circuit };
  await waitForProvider(context, job, found, now + waitMs);
  return undefined;
}

/** An incident of a mirror may notify people with a notification of no project: its page names it. */
async function mirrorOf({ db, projects }: DeliveryContext, found: DeliveryFacts): Promise<"mirror" | null> {
  if (!projects.hasMirrors) return null;
  const { notification, delivery } = found;
  const page = isPage(found) ? await findPage(db.read, delivery.id) : undefined;
  return projects.isMirror(page?.projectId ?? notification.projectId) ? "mirror" : null;
}

/** Why the delivery must not be sent any more. */
function obstacleOf(found: DeliveryFacts, now: EpochMs, pushAlways: boolean): DeliveryReason | null {
  const { delivery, notification, recipient, user } = found;
  if (user.status !== "active" || user.deletedAt !== null) return "recipient not active";
  if (recipient.deletedAt !== null) return "deleted by recipient";
  if (notification.expiresAt !== null && notification.expiresAt <= now) return "expired";
  // An open browser tab is not a person: it ends no page.
  const endsLive = isPush(delivery.channel) && !pushAlways && !isPage(found);
  if (endsLive && recipient.delivered === 1) return "delivered live";
  return null;
}

/** An operator changed the job, or a crash ended its last attempt: updates the delivery. */
export async function followJob(context: DeliveryContext, trx: Trx, { jobId, state, error }: MovedJob): Promise<void> {
  const { clock } = context;
  const delivery = await trx.selectFrom("deliveries").selectAll().where("id", "=", jobId).executeTakeFirst();
  if (!delivery || delivery.state === "delivered") return;
  const updatedAt = clock.now();
  if (state === "cancelled") await updateDelivery(trx, jobId, { state: "skipped", reason: "cancelled", updatedAt });
  else if (state === "ready") await updateDelivery(trx, jobId, { state: "queued", reason: null, updatedAt });
  else await updateDelivery(trx, jobId, { state: state === "dead" ? "dead" : "failed", lastError: error, updatedAt });
  addEffect(trx, { type: "turn-ended", target: keyOf(delivery), jobId });
  await recordCompletion(context, delivery.notificationId, delivery.channel, trx);
}

/** Key of one target of one user, whose calls run in order. */
function keyOf({ userId, channel, target }: DeliveryFacts["delivery"]): string {
  return `${userId} ${channel} ${target}`;
}
