import type { Selectable, Updateable } from "kysely";
import { type Clock, DAY_MS, type EpochMs } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import { addEffect, type Database, type Trx } from "../../store/database.ts";
import type { DeliveriesTable } from "../../store/schema.ts";
import type { JobService, AttemptFacts as RunnerFacts } from "../jobs/index.ts";
import { PermanentError, type RunningJob } from "../jobs/index.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import type { DeliveryFacts } from "./find-delivery.ts";
import type { DeliveryReason } from "./reasons.ts";
import { type Accepted, DeadTarget, ProviderDown, type Sender } from "./sender.ts";
import type { Settling } from "./settling.ts";

/** What waited for a paused provider this long is news no more. */
const LONGEST_PAUSE_MS = DAY_MS;
const ERROR_LENGTH = 1000;
/** Nothing here is decided by what follows another attempt's commit. */
const SHARED = { sharesCommit: true } as const;

export interface AttemptEndsParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settling: Settling;
}

/** The job of an attempt, in the hands of the server's own runner or of a worker elsewhere. */
export interface AttemptJob extends Pick<RunningJob, "id" | "kind" | "label" | "claimed"> {
  /** Absent: the server itself. */
  readonly worker?: string;
}

/** How the job of an attempt ended, as the metrics of jobs have it. */
export type AttemptOutcome = RunnerFacts["outcome"];

/** How attempts begin and end, whoever makes the call: each in one transaction, in which delivery and job end or wait together. */
export class AttemptEnds {
  readonly #parts: AttemptEndsParts;

  constructor(parts: AttemptEndsParts) {
    this.#parts = parts;
  }

  /** Counted before the call: a crash in it must still use up an attempt. @returns the delivery as it is now */
  async begin({ delivery }: DeliveryFacts): Promise<Selectable<DeliveriesTable>> {
    const { database, clock, log } = this.#parts;
    const changes = { state: "sending", attempts: delivery.attempts + 1 } as const;
    const { id: deliveryId, channel } = delivery;
    log.debug({ deliveryId, channel, attempt: changes.attempts }, "an attempt begins");
    await database.write((trx) => this.note(trx, delivery, { ...changes, reason: null }), SHARED);
    return { ...delivery, ...changes, updatedAt: clock.now() };
  }

  async delivered(job: AttemptJob, { delivery, notification }: DeliveryFacts, { providerId }: Accepted): Promise<void> {
    const { database, jobs, clock, log, settling } = this.#parts;
    const { channel } = delivery;
    const deliveredAt = clock.now();
    await database.write(async (trx) => {
      const changes = { state: "delivered", providerId: providerId ?? null, deliveredAt, lastError: null } as const;
      await this.note(trx, delivery, changes);
      await jobs.complete(job, trx);
      await settling.settle(notification.id, channel, trx);
      const latencyMs = deliveredAt - notification.createdAt;
      addEffect(trx, { type: "delivery-outcome", channel, state: "delivered", latencyMs });
    }, SHARED);
    log.debug({ deliveryId: delivery.id, channel, attempt: delivery.attempts }, "a delivery is accepted");
  }

  async failed(
    job: AttemptJob,
    found: DeliveryFacts,
    sender: Sender,
    circuit: CircuitBreaker,
    thrown: unknown,
  ): Promise<AttemptOutcome> {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const isDead = error instanceof DeadTarget;
    circuit.refused(error);
    const { clock, log } = this.#parts;
    const { id: deliveryId, channel, target } = found.delivery;
    const { worker: workerId, claimed } = job;
    log.warn({ deliveryId, channel, attempt: claimed.attempts, workerId, err: error }, "a delivery failed");
    if (error instanceof ProviderDown) return this.waitFor(job, found, clock.now() + circuit.waitMs(), error);
    const disable = isDead ? async (trx: Trx) => sender.disable?.(target, trx) : undefined;
    return this.#fail(job, found, isDead ? new PermanentError(error.message, { cause: error }) : error, disable);
  }

  /** A provider that is paused is waited for, without using up attempts, but not for ever. */
  async waitFor(job: AttemptJob, found: DeliveryFacts, until: EpochMs, error?: Error): Promise<AttemptOutcome> {
    if (this.#parts.clock.now() - found.delivery.createdAt < LONGEST_PAUSE_MS)
      return this.postpone(job, found, until, "provider paused", error);
    return this.#fail(job, found, new PermanentError("the provider was paused for a day", { cause: error }));
  }

  async postpone(
    job: AttemptJob,
    { delivery }: DeliveryFacts,
    until: EpochMs,
    reason: DeliveryReason,
    error?: Error,
  ): Promise<AttemptOutcome> {
    const { database, jobs } = this.#parts;
    const lastError = error ? error.message.slice(0, ERROR_LENGTH) : delivery.lastError;
    await database.write(async (trx) => {
      await this.note(trx, delivery, { state: "queued", reason, lastError });
      await jobs.postpone(job, trx, until);
    }, SHARED);
    return "returned";
  }

  async skip(job: AttemptJob, { delivery, notification }: DeliveryFacts, reason: DeliveryReason): Promise<void> {
    const { database, jobs, settling } = this.#parts;
    await database.write(async (trx) => {
      await this.note(trx, delivery, { state: "skipped", reason });
      await jobs.complete(job, trx, { skipped: reason });
      await settling.settle(notification.id, delivery.channel, trx);
      addEffect(trx, { type: "delivery-outcome", channel: delivery.channel, state: "skipped" });
    }, SHARED);
  }

  async note(
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

  async #fail(
    job: AttemptJob,
    { delivery, notification }: DeliveryFacts,
    error: Error,
    disable?: (trx: Trx) => Promise<void>,
  ): Promise<AttemptOutcome> {
    const { database, jobs, settling } = this.#parts;
    return database.write(async (trx) => {
      await disable?.(trx);
      const { outcome } = await jobs.fail(job, trx, error, job.worker);
      const state = outcome === "dead" ? "dead" : "failed";
      await this.note(trx, delivery, { state, reason: null, lastError: error.message.slice(0, ERROR_LENGTH) });
      await settling.settle(notification.id, delivery.channel, trx);
      addEffect(trx, { type: "delivery-outcome", channel: delivery.channel, state });
      return outcome;
    }, SHARED);
  }
}
