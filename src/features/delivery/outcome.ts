import { type Selectable, sql } from "kysely";
import { DAY_MS, type EpochMs } from "../../core/time/clock.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import type { DeliveriesTable, OutsideChannel } from "../../store/schema.ts";
import { endTarget } from "../channels/push/last-device.ts";
import { markNotificationDelivered } from "../notifications/index.ts";
import { PermanentError, RetryLater, type AttemptFacts as RunnerFacts, type RunningJob } from "../time/jobs/index.ts";
import { type Accepted, type DeliveryChannel, ProviderDown, Refused, TargetGone, Throttled } from "./channel.ts";
import type { CircuitBreaker } from "./circuits.ts";
import { type DeliveryContext, type DeliveryFacts, type DeliveryReason, isPage, updateDelivery } from "./deliveries.ts";
import { REFUSED_PAUSE_MS } from "./pages/failures.ts";
import { LONGEST_PAUSE_MS as LONGEST_PROBE_MS, probePauseMs } from "./pages/gate.ts";

/** A message that has waited this long for a paused provider is dropped, and so is a page. */
const LONGEST_PAUSE_MS = DAY_MS;
const ERROR_LENGTH = 1000;
/** Safe to share commits: no decision here depends on the effects of another attempt's commit. */
const SHARED = { sharesCommit: true } as const;

type OutcomeContext = Pick<
  DeliveryContext,
  "db" | "jobs" | "audit" | "clock" | "log" | "pages" | "channels" | "box" | "settings"
>;

/** The job of an attempt, run by this server or claimed by a remote worker. */
export interface AttemptJob extends Pick<RunningJob, "id" | "kind" | "label" | "claimed"> {
  /** Undefined: the server itself. */
  readonly worker?: string;
}

/** The outcome of an attempt's job, as in the metrics of jobs. */
export type AttemptOutcome = RunnerFacts["outcome"];

/** The route of an attempt. Its circuit has let it through and must be given the result. */
export interface AttemptRoute {
  readonly channel: DeliveryChannel;
  readonly circuit: CircuitBreaker;
}

/** Counted before the call: a crash must still use up an attempt. @returns the updated delivery */
export async function recordBegin(
  { db, clock, log }: OutcomeContext,
  { delivery }: DeliveryFacts,
): Promise<Selectable<DeliveriesTable>> {
  const { id: deliveryId, channel } = delivery;
  const changes = { state: "sending", attempts: delivery.attempts + 1, reason: null, updatedAt: clock.now() } as const;
  log.debug({ deliveryId, channel, attempt: changes.attempts }, "attempt started");
  await db.write((trx) => updateDelivery(trx, deliveryId, changes), SHARED);
  return { ...delivery, ...changes };
}

export async function recordDelivered(
  context: OutcomeContext,
  job: AttemptJob,
  { delivery, notification }: DeliveryFacts,
  { providerId, record }: Accepted,
): Promise<void> {
  const { db, jobs, clock, log } = context;
  const { id: deliveryId, channel, attempts } = delivery;
  const deliveredAt = clock.now();
  await db.write(async (trx) => {
    const changes = { state: "delivered", deliveredAt, lastError: null, updatedAt: deliveredAt } as const;
    await updateDelivery(trx, deliveryId, { ...changes, providerId: providerId ?? null });
    await record?.(trx);
    await jobs.complete(job, trx);
    await recordCompletion(context, notification.id, channel, trx);
    const latencyMs = deliveredAt - notification.createdAt;
    addEffect(trx, { type: "delivery-outcome", channel, state: "delivered", latencyMs });
    // A page that a remote worker has sent.
    if (job.worker !== undefined) await context.pages.endedElsewhere(trx, deliveryId, "delivered", providerId ?? null);
  }, SHARED);
  log.debug({ deliveryId, channel, attempt: attempts }, "delivery accepted");
}

export async function recordFailure(
  context: OutcomeContext,
  job: AttemptJob,
  found: DeliveryFacts,
  { channel, circuit }: AttemptRoute,
  thrown: unknown,
): Promise<AttemptOutcome> {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  circuit.refused(error);
  const { id: deliveryId } = found.delivery;
  const { worker: workerId, claimed } = job;
  const facts = { deliveryId, channel: channel.name, attempt: claimed.attempts, workerId, err: error };
  context.log.warn(facts, "delivery failed");
  if (error instanceof ProviderDown || error instanceof Refused)
    return waitForProvider(context, job, found, context.clock.now() + circuit.waitMs(longestPauseMs(found)), error);
  if (error instanceof Throttled) return waitAsAsked(context, job, found, error);
  if (!(error instanceof TargetGone)) return retryOrFail(context, job, found, error);
  const permanent = new PermanentError(error.message, { cause: error });
  return fail(context, job, found, permanent, (trx) => endTarget(context, found.delivery, trx));
}

/** How long a delivery waits for a failing provider at most: a page leaves soon after it is well. */
export function longestPauseMs(found: DeliveryFacts): number {
  return isPage(found) ? LONGEST_PROBE_MS.high : Number.POSITIVE_INFINITY;
}

/** A page is tried for a day, whatever the worker says and however often. */
async function retryOrFail(
  context: OutcomeContext,
  job: AttemptJob,
  found: DeliveryFacts,
  error: Error,
): Promise<AttemptOutcome> {
  const { db, jobs, clock } = context;
  const { id, attempts, channel, createdAt } = found.delivery;
  if (!isPage(found) || clock.now() - createdAt >= LONGEST_PAUSE_MS) return fail(context, job, found, error);
  const now = clock.now();
  const pauseMs = error instanceof PermanentError ? REFUSED_PAUSE_MS : probePauseMs(Math.max(1, attempts), "high");
  const askedMs = error instanceof RetryLater ? Math.ceil(error.retryAfterMs) : 0;
  const lastError = error.message.slice(0, ERROR_LENGTH);
  await db.write(async (trx) => {
    await updateDelivery(trx, id, { state: "failed", reason: null, lastError, updatedAt: now });
    await jobs.postpone(job, trx, now + Math.max(pauseMs, askedMs));
    addEffect(trx, { type: "delivery-outcome", channel, state: "failed" });
  }, SHARED);
  return "returned";
}

/** Waits for a paused provider without using up attempts, up to a limit. */
export async function waitForProvider(
  context: OutcomeContext,
  job: AttemptJob,
  found: DeliveryFacts,
  until: EpochMs,
  error?: Error,
): Promise<AttemptOutcome> {
  if (context.clock.now() - found.delivery.createdAt < LONGEST_PAUSE_MS)
    return postpone(context, job, found, until, "provider paused", error);
  return fail(context, job, found, new PermanentError("the provider was paused for a day", { cause: error }));
}

/** Waits for the time that the service, or the rate of its target, names; without using up attempts. */
export function waitAsAsked(
  context: OutcomeContext,
  job: AttemptJob,
  found: DeliveryFacts,
  error: Throttled,
): Promise<AttemptOutcome> {
  const now = context.clock.now();
  if (now - found.delivery.createdAt < LONGEST_PAUSE_MS)
    return postpone(context, job, found, now + error.retryAfterMs, "asked to wait", error);
  return fail(context, job, found, new PermanentError("the service asked to wait for a day", { cause: error }));
}

export async function postpone(
  { db, jobs, clock }: OutcomeContext,
  job: AttemptJob,
  { delivery }: DeliveryFacts,
  until: EpochMs,
  reason: DeliveryReason,
  error?: Error,
): Promise<AttemptOutcome> {
  const lastError = error ? error.message.slice(0, ERROR_LENGTH) : delivery.lastError;
  await db.write(async (trx) => {
    await updateDelivery(trx, delivery.id, { state: "queued", reason, lastError, updatedAt: clock.now() });
    await jobs.postpone(job, trx, until);
  }, SHARED);
  return "returned";
}

export async function skip(
  context: OutcomeContext,
  job: AttemptJob,
  { delivery: { id, channel }, notification }: DeliveryFacts,
  reason: DeliveryReason,
): Promise<void> {
  const { db, jobs, clock } = context;
  await db.write(async (trx) => {
    await updateDelivery(trx, id, { state: "skipped", reason, updatedAt: clock.now() });
    await jobs.complete(job, trx, { skipped: reason });
    await recordCompletion(context, notification.id, channel, trx);
    addEffect(trx, { type: "delivery-outcome", channel, state: "skipped" });
  }, SHARED);
}

async function fail(
  context: OutcomeContext,
  job: AttemptJob,
  { delivery: { id, channel }, notification }: DeliveryFacts,
  error: Error,
  disable?: (trx: Trx) => Promise<void>,
): Promise<AttemptOutcome> {
  const { db, jobs, clock } = context;
  return db.write(async (trx) => {
    await disable?.(trx);
    const { outcome } = await jobs.fail(job, trx, error, job.worker);
    const state = outcome === "dead" ? "dead" : "failed";
    const lastError = error.message.slice(0, ERROR_LENGTH);
    await updateDelivery(trx, id, { state, reason: null, lastError, updatedAt: clock.now() });
    await recordCompletion(context, notification.id, channel, trx);
    addEffect(trx, { type: "delivery-outcome", channel, state });
    return outcome;
  }, SHARED);
}

/**
 * Records that a channel has completed a notification: one audit row per channel, with counts. Call
 * it in the transaction in which planning or a delivery ends.
 */
export async function recordCompletion(
  { audit, clock }: Pick<DeliveryContext, "audit" | "clock">,
  notificationId: string,
  channel: OutsideChannel,
  trx: Trx,
): Promise<void> {
  if (await isOpen(notificationId, channel, trx)) return;
  const counts = await trx
    .selectFrom("deliveries")
    .select((e) => ["state", e.fn.countAll<number>().as("count")])
    .where("notificationId", "=", notificationId)
    .where("channel", "=", channel)
    .groupBy("state")
    .execute();
  const of = (state: string): number => counts.find((each) => each.state === state)?.count ?? 0;
  const resource = { resourceType: "notification", resourceId: notificationId };
  const metadata = { channel, delivered: of("delivered"), failed: of("dead"), skipped: of("skipped") };
  if (metadata.delivered > 0) {
    await audit.record({ action: "notification.delivered", ...resource, metadata }, { trx });
    await markNotificationDelivered(trx, notificationId, clock.now());
  }
  if (metadata.failed > 0) await audit.record({ action: "notification.failed", ...resource, metadata }, { trx });
}

async function isOpen(notificationId: string, channel: OutsideChannel, trx: Trx): Promise<boolean> {
  const { rows } = await sql<{ open: 0 | 1 }>`
    select exists (
      select 1 from deliveries where notificationId = ${notificationId} and channel = ${channel}
        and state in ('queued', 'sending', 'failed')
    ) or exists (
      select 1 from jobs where queue = 'notification-delivery' and finishedAt is null
        and dedupeKey in ('deliver:' || ${notificationId}, 'recipients:' || ${notificationId})
    ) as open`.execute(trx);
  return rows[0]?.open === 1;
}
