import { sql } from "kysely";
import * as v from "valibot";
import { WORKER_CHANNELS } from "../../core/text/vocabulary.ts";
import { claimable, claimThese } from "../../store/commit/job-table.ts";
import type { ClaimedJob, JobClaim } from "../../store/commit/write-set.ts";
import type { Trx } from "../../store/database.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import {
  type FailedAttempt,
  type HeldJob,
  PermanentError,
  type RemoteHandler,
  RetryLater,
  type WorkerLeases,
} from "../time/jobs/index.ts";
import { routeOf } from "./attempt.ts";
import { type Accepted, type Answer, type Attempt, ProviderDown, TargetGone } from "./channel.ts";
import {
  type DeliveryContext,
  type DeliveryFacts,
  findDelivery,
  isOver,
  isPage,
  updateDelivery,
} from "./deliveries.ts";
import {
  type AttemptJob,
  type AttemptOutcome,
  type AttemptRoute,
  recordBegin,
  recordDelivered,
  recordFailure,
} from "./outcome.ts";
import { withConfirmLink } from "./pages/people.ts";
import { findPage } from "./pages/store.ts";

/** An attempt as a remote worker receives it: all it needs but the provider's settings. */
export interface DispatchedAttempt {
  readonly deliveryId: string;
  readonly channel: OutsideChannel;
  /** For the channel's `call`. */
  readonly message: object;
}

/** A worker's report of an accepted call. */
const Result = v.object({ providerId: v.optional(v.pipe(v.string(), v.maxLength(255))) });

/**
 * Lets remote workers make the calls of attempts. The server decides and prepares before a call and
 * handles the result, as for its own calls: circuits, tokens, disabled webhooks, limits and order
 * are shared by all workers. Also serves channels no longer assigned to workers, because one may
 * still hold an attempt.
 */
export function serveWorkers(context: DeliveryContext, workerLeases: WorkerLeases): void {
  const handler: RemoteHandler = {
    claim: claimAttempts,
    begin: (held) => begin(context, held),
    complete: (held, result) => complete(context, held, result),
    fail: (held, failure) => fail(context, held, failure),
    returned: (trx, jobIds) => released(context, trx, jobIds),
  };
  for (const channel of WORKER_CHANNELS) workerLeases.handle(`workers:${channel}`, handler);
}

async function begin(context: DeliveryContext, held: HeldJob): Promise<DispatchedAttempt | undefined> {
  const { db, jobs } = context;
  const job = attemptJobOf(held);
  const found = await findDelivery(held.id, db.read);
  if (!found || (await isEnded(context, found))) {
    await db.write((trx) => jobs.complete(job, trx));
    return undefined;
  }
  const route = await routeOf(context, job, found);
  if (!route) return undefined;
  try {
    return await dispatch(context, job, found, route);
  } catch (error) {
    route.circuit.abandoned();
    throw error;
  }
}

/** A page may have ended while its job waited or ran: overtaken, or after a day. */
async function isEnded({ db }: DeliveryContext, found: DeliveryFacts): Promise<boolean> {
  if (isOver(found) || !isPage(found)) return isOver(found);
  const page = await findPage(db.read, found.delivery.id);
  return page !== undefined && page.endedAt !== null;
}

async function dispatch(
  context: DeliveryContext,
  job: AttemptJob,
  found: DeliveryFacts,
  route: AttemptRoute,
): Promise<DispatchedAttempt | undefined> {
  const { notification, offset } = found;
  const { clock, settings } = context;
  const delivery = await recordBegin(context, found);
  try {
    const attempt = withConfirmLink(settings.current, { delivery, notification, offset }, clock.now());
    const message = await route.channel.prepare(attempt);
    return { deliveryId: delivery.id, channel: delivery.channel, message };
  } catch (error) {
    await recordFailure(context, job, found, route, error);
    route.circuit.abandoned();
    return undefined;
  }
}

async function complete(context: DeliveryContext, held: HeldJob, result: unknown): Promise<AttemptOutcome> {
  const { db, jobs } = context;
  const job = attemptJobOf(held);
  const found = await findDelivery(held.id, db.read);
  if (!found) await db.write((trx) => jobs.complete(job, trx));
  else {
    const { channel, circuit } = usedRoute(context, found);
    const accepted = acceptedOf(result);
    circuit.accepted();
    await channel.interpret?.(found, { accepted });
    await recordDelivered(context, job, found, accepted);
  }
  return "succeeded";
}

async function fail(context: DeliveryContext, held: HeldJob, failure: FailedAttempt): Promise<AttemptOutcome> {
  const { db, jobs } = context;
  const job = attemptJobOf(held);
  const error = errorOf(failure);
  const found = await findDelivery(held.id, db.read);
  if (!found) return db.write(async (trx) => (await jobs.fail(job, trx, error, job.worker)).outcome);
  const route = usedRoute(context, found);
  try {
    const failure = await interpreted(route, found, error);
    if (!(await isEnded(context, found))) return await recordFailure(context, job, found, route, failure);
    route.circuit.refused(failure);
    await db.write((trx) => jobs.complete(job, trx));
    return "succeeded";
  } finally {
    route.circuit.abandoned();
  }
}

async function interpreted({ channel }: AttemptRoute, attempt: Attempt, failure: Error): Promise<unknown> {
  const answer: Answer | undefined = await channel.interpret?.(attempt, { failure });
  return answer && "failure" in answer ? answer.failure : failure;
}

async function released(
  { channels, circuits, clock }: DeliveryContext,
  trx: Trx,
  jobIds: readonly string[],
): Promise<void> {
  const deliveries = await trx.selectFrom("deliveries").selectAll().where("id", "in", jobIds).execute();
  for (const { id, channel: name, target, state } of deliveries) {
    const channel = channels.of(name);
    if (channel) circuits.of(channel, target).abandoned();
    if (state === "sending") await updateDelivery(trx, id, { state: "queued", reason: null, updatedAt: clock.now() });
  }
}

function usedRoute({ channels, circuits }: DeliveryContext, { delivery }: DeliveryFacts): AttemptRoute {
  const channel = channels.of(delivery.channel);
  if (!channel) throw new TypeError(`no worker sends by ${delivery.channel}`);
  return { channel, circuit: circuits.of(channel, delivery.target) };
}

function attemptJobOf(held: HeldJob): AttemptJob {
  const { id, kind, label, workerId: worker } = held;
  return { id, kind, label, worker, claimed: held };
}

/** The provider's id is for people only: an invalid one is ignored. */
function acceptedOf(result: unknown): Accepted {
  const { success, output } = v.safeParse(Result, result);
  return success && output.providerId !== undefined ? { providerId: output.providerId } : {};
}

function errorOf({ error, isPermanent, retryAfterMs, fault, since }: FailedAttempt): Error {
  if (fault === "target") return new TargetGone(error, since === undefined ? {} : { since });
  if (fault === "provider") return new ProviderDown(error);
  if (isPermanent) return new PermanentError(error);
  return retryAfterMs > 0 ? new RetryLater(error, retryAfterMs) : new Error(error);
}

/** How many attempts to busy targets a claim skips at most. */
const LOOKED_AT = 256;
/** Attempts per claim: each is prepared before the claim is answered. */
const MAX_CLAIMED = 32;

/**
 * Claims attempts of one channel for a remote worker. Attempts to one target run in the order they
 * were due, one at a time, in whichever process: an attempt waits for the one before it.
 */
async function claimAttempts(trx: Trx, claim: JobClaim): Promise<ClaimedJob[]> {
  const seqs = await freeOf(trx, claim.queue, Math.min(claim.limit, MAX_CLAIMED), claim.oldestFirst);
  return seqs.length === 0 ? [] : claimThese(trx, seqs, claim);
}

/** The next attempts to idle targets, one per target. */
async function freeOf(trx: Trx, queue: string, limit: number, oldestFirst: boolean): Promise<number[]> {
  const ready = await claimable(trx, { queue, limit: LOOKED_AT, oldestFirst });
  if (ready.length === 0) return [];
  const taken = await calledNow(trx, queue);
  const targets = await targetsOf(trx, ready);
  const free: number[] = [];
  for (const seq of ready) {
    // An attempt without a delivery has no target: its job only needs to be ended.
    const target = targets.get(seq);
    if (target !== undefined && taken.has(target)) continue;
    if (target !== undefined) taken.add(target);
    free.push(seq);
    if (free.length === limit) break;
  }
  return free;
}

/** Literal states: with bound values SQLite could not use the partial index of running jobs. */
async function calledNow(trx: Trx, queue: string): Promise<Set<string>> {
  const { rows } = await sql<{ userId: string; target: string }>`
    select d.userId, d.target from jobs j cross join deliveries d on d.id = j.id
    where j.state = 'running' and j.workerId > '' and j.queue = ${queue}`.execute(trx);
  return new Set(rows.map(keyOf));
}

async function targetsOf(trx: Trx, seqs: readonly number[]): Promise<Map<number, string>> {
  const { rows } = await sql<{ seq: number; userId: string; target: string }>`
    select j.seq, d.userId, d.target from json_each(${JSON.stringify(seqs)}) s
    cross join jobs j on j.seq = s.value cross join deliveries d on d.id = j.id`.execute(trx);
  return new Map(rows.map((row) => [row.seq, keyOf(row)]));
}

function keyOf({ userId, target }: { readonly userId: string; readonly target: string }): string {
  return `${userId} ${target}`;
}
