import type { Selectable, Updateable } from "kysely";
import { type Clock, DAY_MS, type EpochMs } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { COMPLETED, PermanentError, RetryLater, type RunningJob } from "../../jobs/job.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { DeliveriesTable } from "../../store/schema.ts";
import type { MovedJob } from "../jobs/job-hooks.ts";
import type { JobService } from "../jobs/job-service.ts";
import type { LiveSettings } from "../live-settings.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import type { Circuits } from "./circuits.ts";
import type { DeliveryMetrics } from "./delivery-metrics.ts";
import { type DeliveryFacts, findDelivery } from "./find-delivery.ts";
import type { AttemptPayload } from "./jobs.ts";
import { heldUntil, isPush, type Preferences } from "./preferences.ts";
import type { DeliveryReason } from "./reasons.ts";
import { sendWithin } from "./send-within.ts";
import { type Accepted, DeadTarget, ProviderDown, type Sender } from "./sender.ts";
import type { Senders } from "./senders.ts";
import type { Settling } from "./settling.ts";
import { Turns } from "./turns.ts";

/** What waited for a paused provider this long is news no more. */
const LONGEST_PAUSE_MS = DAY_MS;
const ERROR_LENGTH = 1000;
const BEHIND = "behind earlier ones" satisfies DeliveryReason;

export interface AttemptsParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly senders: Senders;
  readonly circuits: Circuits;
  readonly settings: LiveSettings;
  readonly results: DeliveryMetrics;
  readonly settling: Settling;
}

/**
 * Attempts at one delivery: a transaction that says it has begun, the call, and a transaction in which delivery and job end or wait together. A crash
 * in between has it made again, with the same id (at least once).
 */
export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #turns: Turns;

  constructor(parts: AttemptsParts) {
    this.#parts = parts;
    this.#turns = new Turns(parts.clock);
  }

  /** What goes to one place goes in the order of the notifications: an attempt waits for the one before it. */
  async attempt(job: RunningJob, signal: AbortSignal): Promise<typeof COMPLETED | undefined> {
    const { deliveryId } = job.payload as AttemptPayload;
    const { read } = this.#parts.database;
    const planned = await findDelivery(deliveryId, read);
    if (!planned || isDone(planned)) return undefined;
    const { userId, channel, target, reason } = planned.delivery;
    return this.#turns.take<typeof COMPLETED | undefined>(`${userId} ${channel} ${target}`, {
      isBack: reason === BEHIND,
      run: async () => {
        signal.throwIfAborted();
        const found = await findDelivery(deliveryId, read);
        if (!found || isDone(found)) return undefined;
        await this.#decide(job, found, signal);
        return COMPLETED;
      },
      sendAway: async (ms) => {
        await this.#postpone(job, planned, this.#parts.clock.now() + ms, BEHIND);
        return COMPLETED;
      },
    });
  }

  /** An operator has moved the job, or a crash has cut its last attempt short: the delivery goes with it. */
  async follow(trx: Trx, { jobId, state, error }: MovedJob): Promise<void> {
    const { settling } = this.#parts;
    const delivery = await trx.selectFrom("deliveries").selectAll().where("id", "=", jobId).executeTakeFirst();
    if (!delivery || delivery.state === "delivered") return;
    if (state === "cancelled") await this.#note(trx, delivery, { state: "skipped", reason: "cancelled" });
    else if (state === "ready") await this.#note(trx, delivery, { state: "queued", reason: null });
    else await this.#note(trx, delivery, { state: state === "dead" ? "dead" : "failed", lastError: error });
    await settling.settle(delivery.notificationId, delivery.channel, trx);
  }

  /** What may have changed since the plan was made. */
  async #decide(job: RunningJob, found: DeliveryFacts, signal: AbortSignal): Promise<void> {
    const { clock, senders, circuits, settings } = this.#parts;
    const { delivery, notification, user } = found;
    const { channel } = delivery;
    const now = clock.now();
    const sender = senders.get(channel);
    const obstacle = obstacleOf(found, now, settings.delivery.pushAlways);
    if (!sender || obstacle) return this.#skip(job, found, obstacle ?? "channel not configured");
    const prefs = JSON.parse(user.prefs) as Preferences;
    const quietUntil = heldUntil(prefs, user.timezone, channel, notification, now);
    if (quietUntil !== null) return this.#postpone(job, found, quietUntil, "quiet hours");
    const circuit = circuits.of(sender, delivery.target);
    const waitMs = circuit.waitMs();
    if (waitMs > 0) return this.#waitFor(job, found, now + waitMs);
    try {
      await this.#send(job, found, sender, circuit, signal);
    } finally {
      circuit.abandoned();
    }
  }

  async #send(
    job: RunningJob,
    found: DeliveryFacts,
    sender: Sender,
    circuit: CircuitBreaker,
    signal: AbortSignal,
  ): Promise<void> {
    const { database } = this.#parts;
    const { notification, offset } = found;
    // Counted before the call: a crash in it must still use up an attempt.
    const attempts = found.delivery.attempts + 1;
    await database.write((trx) => this.#note(trx, found.delivery, { state: "sending", reason: null, attempts }));
    const delivery = { ...found.delivery, state: "sending" as const, attempts };
    let accepted: Accepted;
    try {
      accepted = await sendWithin(sender, { delivery, notification, offset }, signal);
    } catch (error) {
      // The server stops, and the job is given back: it begins again with the same id.
      if (signal.aborted) throw error;
      return this.#failed(job, found, sender, circuit, error instanceof Error ? error : new Error(String(error)));
    }
    circuit.answered();
    await this.#delivered(job, found, accepted);
  }

  async #delivered(job: RunningJob, { delivery, notification }: DeliveryFacts, { providerId }: Accepted) {
    const { database, jobs, clock, results, settling } = this.#parts;
    const { channel } = delivery;
    const deliveredAt = clock.now();
    await database.write(async (trx) => {
      const changes = { state: "delivered", providerId: providerId ?? null, deliveredAt, lastError: null } as const;
      await this.#note(trx, delivery, changes);
      await jobs.complete(job, trx);
      await settling.settle(notification.id, channel, trx);
      database.afterCommit(trx, () => results.delivered(channel, deliveredAt - notification.createdAt));
    });
  }

  async #failed(
    job: RunningJob,
    found: DeliveryFacts,
    sender: Sender,
    circuit: CircuitBreaker,
    error: Error,
  ): Promise<void> {
    const isDead = error instanceof DeadTarget;
    if (error instanceof ProviderDown) circuit.open(error);
    else if (isDead || error instanceof PermanentError || error instanceof RetryLater) circuit.answered();
    else circuit.failed(error);
    const { clock, log } = this.#parts;
    const { id, channel, target } = found.delivery;
    log.warn({ deliveryId: id, channel, attempt: job.attempt, err: error }, "a delivery failed");
    if (error instanceof ProviderDown) return this.#waitFor(job, found, clock.now() + circuit.waitMs(), error);
    const disable = isDead ? async (trx: Trx) => sender.disable?.(target, trx) : undefined;
    return this.#fail(job, found, isDead ? new PermanentError(error.message, { cause: error }) : error, disable);
  }

  async #fail(
    job: RunningJob,
    { delivery, notification }: DeliveryFacts,
    error: Error,
    disable?: (trx: Trx) => Promise<void>,
  ): Promise<void> {
    const { database, jobs, results, settling } = this.#parts;
    await database.write(async (trx) => {
      await disable?.(trx);
      const { outcome } = await jobs.fail(job, trx, error);
      const state = outcome === "dead" ? "dead" : "failed";
      await this.#note(trx, delivery, { state, reason: null, lastError: error.message.slice(0, ERROR_LENGTH) });
      await settling.settle(notification.id, delivery.channel, trx);
      database.afterCommit(trx, () => results.count(delivery.channel, state));
    });
  }

  /** A provider that is paused is waited for, without using up attempts, but not for ever. */
  #waitFor(job: RunningJob, found: DeliveryFacts, until: EpochMs, error?: Error): Promise<void> {
    if (this.#parts.clock.now() - found.delivery.createdAt < LONGEST_PAUSE_MS)
      return this.#postpone(job, found, until, "provider paused", error);
    return this.#fail(job, found, new PermanentError("the provider was paused for a day", { cause: error }));
  }

  async #postpone(job: RunningJob, { delivery }: DeliveryFacts, until: EpochMs, reason: DeliveryReason, error?: Error) {
    const { database, jobs } = this.#parts;
    const lastError = error ? error.message.slice(0, ERROR_LENGTH) : delivery.lastError;
    await database.write(async (trx) => {
      await this.#note(trx, delivery, { state: "queued", reason, lastError });
      await jobs.postpone(job, trx, until);
    });
  }

  async #skip(job: RunningJob, { delivery, notification }: DeliveryFacts, reason: DeliveryReason): Promise<void> {
    const { database, jobs, results, settling } = this.#parts;
    await database.write(async (trx) => {
      await this.#note(trx, delivery, { state: "skipped", reason });
      await jobs.complete(job, trx, { skipped: reason });
      await settling.settle(notification.id, delivery.channel, trx);
      database.afterCommit(trx, () => results.count(delivery.channel, "skipped"));
    });
  }

  async #note(
    trx: Trx,
    { id }: Pick<Selectable<DeliveriesTable>, "id">,
    changes: Updateable<DeliveriesTable> & { readonly reason?: DeliveryReason | null },
  ): Promise<void> {
    const updatedAt = this.#parts.clock.now();
    await trx
      .updateTable("deliveries")
      .set({ ...changes, updatedAt })
      .where("id", "=", id)
      .execute();
  }
}

function isDone({ delivery: { state } }: DeliveryFacts): boolean {
  return state === "delivered" || state === "skipped";
}

/** Why nothing is to be sent any more. */
function obstacleOf(
  { delivery, notification, recipient, user }: DeliveryFacts,
  now: EpochMs,
  pushAlways: boolean,
): DeliveryReason | null {
  if (user.status !== "active" || user.deletedAt !== null) return "recipient not active";
  if (recipient.deletedAt !== null) return "deleted by recipient";
  if (notification.expiresAt !== null && notification.expiresAt <= now) return "expired";
  if (isPush(delivery.channel) && recipient.delivered === 1 && !pushAlways) return "delivered live";
  return null;
}
