import { addEffect, type Database, type Trx } from "../../store/database.ts";
import type { JobService, MovedJob } from "../jobs/index.ts";
import { COMPLETED, deliveryQueue, type RunningJob } from "../jobs/index.ts";
import { limitsOf } from "./bulkheads.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import { type DecidingParts, decideAttempt, type Way } from "./decide-attempt.ts";
import type { AttemptPayload } from "./delivery-jobs.ts";
import { type DeliveryFacts, findDelivery, isOver } from "./find-delivery.ts";
import type { DeliveryReason } from "./reasons.ts";
import { sendWithin } from "./send-within.ts";
import { type Accepted, NoAnswer, type TargetSource } from "./sender.ts";
import type { Settling } from "./settling.ts";
import type { TargetCall, TargetQueues } from "./target-queues.ts";

const BEHIND = "behind earlier ones" satisfies DeliveryReason;

export interface AttemptsParts extends DecidingParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly settling: Settling;
  readonly targets: TargetQueues;
}

/**
 * Attempts at one delivery that the server makes itself: a transaction that says it has begun, the call, and a transaction in which delivery and job
 * end or wait together. A crash in between has it made again, with the same id (at least once).
 */
export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #targets: TargetQueues;

  constructor(parts: AttemptsParts) {
    this.#parts = parts;
    this.#targets = parts.targets;
  }

  /** What goes to one place goes in the order of the notifications: an attempt waits for the one before it. */
  async attempt(job: RunningJob, signal: AbortSignal): Promise<typeof COMPLETED | undefined> {
    const { deliveryId } = job.payload as AttemptPayload;
    const { database, jobs, senders } = this.#parts;
    const planned = await findDelivery(deliveryId, database.read);
    if (!planned) return undefined;
    const { channel, target } = planned.delivery;
    if (isOver(planned) || senders.isForWorkers(channel)) {
      this.#targets.forget(keyOf(planned.delivery), job.id);
      if (isOver(planned)) return undefined;
      // Planned before the channel was left to them.
      await database.write((trx) => jobs.moveTo(senders.queueOf(channel), job, trx));
      return COMPLETED;
    }
    const source = await senders.of(channel)?.sourceOf?.(target);
    return this.#targets.call(this.#callOf(job, planned, source, signal));
  }

  #callOf(
    job: RunningJob,
    planned: DeliveryFacts,
    source: TargetSource | undefined,
    signal: AbortSignal,
  ): TargetCall<typeof COMPLETED | undefined> {
    const { database, clock, ends, settings } = this.#parts;
    const { channel, id } = planned.delivery;
    const { concurrency } = settings.queue(deliveryQueue(channel));
    return {
      jobId: job.id,
      target: keyOf(planned.delivery),
      limits: limitsOf({ channel, ...source }, concurrency),
      run: async () => {
        signal.throwIfAborted();
        const found = await findDelivery(id, database.read);
        if (!found || isOver(found)) return undefined;
        await this.#make(job, found, source, signal);
        return COMPLETED;
      },
      defer: async (waitMs) => {
        await ends.postpone(job, planned, clock.now() + waitMs, BEHIND);
        return COMPLETED;
      },
    };
  }

  /** An operator has moved the job, or a crash has cut its last attempt short: the delivery goes with it. */
  async follow(trx: Trx, { jobId, state, error }: MovedJob): Promise<void> {
    const { settling, ends } = this.#parts;
    const delivery = await trx.selectFrom("deliveries").selectAll().where("id", "=", jobId).executeTakeFirst();
    if (!delivery || delivery.state === "delivered") return;
    if (state === "cancelled") await ends.note(trx, delivery, { state: "skipped", reason: "cancelled" });
    else if (state === "ready") await ends.note(trx, delivery, { state: "queued", reason: null });
    else await ends.note(trx, delivery, { state: state === "dead" ? "dead" : "failed", lastError: error });
    addEffect(trx, { type: "turn-ended", target: keyOf(delivery), jobId });
    await settling.settle(delivery.notificationId, delivery.channel, trx);
  }

  async #make(
    job: RunningJob,
    found: DeliveryFacts,
    source: TargetSource | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { circuits, clock, ends } = this.#parts;
    const host = source && circuits.ofHost(found.delivery.channel, source.host);
    const waitMs = host?.waitMs() ?? 0;
    if (waitMs > 0) {
      await ends.waitFor(job, found, clock.now() + waitMs);
      return;
    }
    try {
      const way = await decideAttempt(this.#parts, job, found);
      if (way) await this.#send(job, found, { ...way, host }, signal).finally(() => way.circuit.abandoned());
    } finally {
      host?.abandoned();
    }
  }

  async #send(
    job: RunningJob,
    found: DeliveryFacts,
    { sender, circuit, host }: Way & { readonly host: CircuitBreaker | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    const { ends } = this.#parts;
    const { notification, offset } = found;
    const delivery = await ends.begin(found);
    job.begun();
    let accepted: Accepted;
    try {
      accepted = await sendWithin((limit) => sender.send({ delivery, notification, offset, signal: limit }), signal);
    } catch (error) {
      // The server stops, and the job is given back: it begins again with the same id.
      if (signal.aborted) throw error;
      if (error instanceof NoAnswer) host?.failed(error);
      else host?.answered();
      await ends.failed(job, found, sender, circuit, error);
      return;
    }
    host?.answered();
    circuit.answered();
    await ends.delivered(job, found, accepted);
  }
}

/** One place of one user: its calls are made in order. */
function keyOf({ userId, channel, target }: DeliveryFacts["delivery"]): string {
  return `${userId} ${channel} ${target}`;
}
