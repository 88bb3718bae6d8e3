import { COMPLETED, type RunningJob } from "../../jobs/job.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { MovedJob } from "../jobs/job-hooks.ts";
import type { JobService } from "../jobs/job-service.ts";
import { type DecidingParts, decideAttempt, type Way } from "./decide-attempt.ts";
import { type DeliveryFacts, findDelivery, isOver } from "./find-delivery.ts";
import type { AttemptPayload } from "./jobs.ts";
import type { DeliveryReason } from "./reasons.ts";
import { sendWithin } from "./send-within.ts";
import type { Accepted } from "./sender.ts";
import type { Settling } from "./settling.ts";
import { Turns } from "./turns.ts";

const BEHIND = "behind earlier ones" satisfies DeliveryReason;

export interface AttemptsParts extends DecidingParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly settling: Settling;
}

/**
 * Attempts at one delivery that the server makes itself: a transaction that says it has begun, the call, and a transaction in which delivery and job
 * end or wait together. A crash in between has it made again, with the same id (at least once).
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
    const { database, jobs, senders, clock, ends } = this.#parts;
    const planned = await findDelivery(deliveryId, database.read);
    if (!planned || isOver(planned)) return undefined;
    const { userId, channel, target, reason } = planned.delivery;
    if (senders.isForWorkers(channel)) {
      // Planned before the channel was left to them.
      await database.write((trx) => jobs.moveTo(senders.queueOf(channel), job, trx));
      return COMPLETED;
    }
    return this.#turns.take<typeof COMPLETED | undefined>(`${userId} ${channel} ${target}`, {
      isBack: reason === BEHIND,
      run: async () => {
        signal.throwIfAborted();
        const found = await findDelivery(deliveryId, database.read);
        if (!found || isOver(found)) return undefined;
        await this.#make(job, found, signal);
        return COMPLETED;
      },
      sendAway: async (ms) => {
        await ends.postpone(job, planned, clock.now() + ms, BEHIND);
        return COMPLETED;
      },
    });
  }

  /** An operator has moved the job, or a crash has cut its last attempt short: the delivery goes with it. */
  async follow(trx: Trx, { jobId, state, error }: MovedJob): Promise<void> {
    const { settling, ends } = this.#parts;
    const delivery = await trx.selectFrom("deliveries").selectAll().where("id", "=", jobId).executeTakeFirst();
    if (!delivery || delivery.state === "delivered") return;
    if (state === "cancelled") await ends.note(trx, delivery, { state: "skipped", reason: "cancelled" });
    else if (state === "ready") await ends.note(trx, delivery, { state: "queued", reason: null });
    else await ends.note(trx, delivery, { state: state === "dead" ? "dead" : "failed", lastError: error });
    await settling.settle(delivery.notificationId, delivery.channel, trx);
  }

  async #make(job: RunningJob, found: DeliveryFacts, signal: AbortSignal): Promise<void> {
    const way = await decideAttempt(this.#parts, job, found);
    if (!way) return;
    try {
      await this.#send(job, found, way, signal);
    } finally {
      way.circuit.abandoned();
    }
  }

  async #send(job: RunningJob, found: DeliveryFacts, { sender, circuit }: Way, signal: AbortSignal): Promise<void> {
    const { ends } = this.#parts;
    const { notification, offset } = found;
    const delivery = await ends.begin(found);
    let accepted: Accepted;
    try {
      accepted = await sendWithin((limit) => sender.send({ delivery, notification, offset, signal: limit }), signal);
    } catch (error) {
      // The server stops, and the job is given back: it begins again with the same id.
      if (signal.aborted) throw error;
      await ends.failed(job, found, sender, circuit, error);
      return;
    }
    circuit.answered();
    await ends.delivered(job, found, accepted);
  }
}
