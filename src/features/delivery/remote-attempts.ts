import * as v from "valibot";
import { WORKER_CHANNELS } from "../../core/worker-channels.ts";
import type { ClaimedJob, JobClaim } from "../../store/commit/write-set.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import type { FailedAttempt, HeldJob, JobService, RemoteHandler, WorkerLeases } from "../jobs/index.ts";
import { PermanentError, RetryLater } from "../jobs/index.ts";
import type { AttemptJob, AttemptOutcome } from "./attempt-ends.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import { claimAttempts } from "./claim-attempts.ts";
import { type DecidingParts, decideAttempt } from "./decide-attempt.ts";
import { type DeliveryFacts, findDelivery, isOver } from "./find-delivery.ts";
import { PreparedSender } from "./prepared-sender.ts";
import { type Accepted, DeadTarget, ProviderDown } from "./sender.ts";

export interface RemoteAttemptsParts extends DecidingParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly workerLeases: WorkerLeases;
}

/** What a worker elsewhere is handed of an attempt: all that its one call needs besides the provider's settings. */
export interface HandedAttempt {
  readonly deliveryId: string;
  readonly channel: OutsideChannel;
  /** For the channel's {@link Caller}. */
  readonly message: object;
}

/** What it says of a call that was accepted. */
const Result = v.object({ providerId: v.optional(v.pipe(v.string(), v.maxLength(255))) });

/**
 * Attempts whose call a worker elsewhere makes (D35). The server decides and prepares before the call, and does behind it what it does behind its own:
 * circuits, tokens and webhooks that are gone, limits and order are one for all, however many workers there are.
 */
export class RemoteAttempts implements RemoteHandler {
  readonly #parts: RemoteAttemptsParts;

  constructor(parts: RemoteAttemptsParts) {
    this.#parts = parts;
  }

  /** Also of channels that are not left to workers any more: one may have an attempt in hand still. */
  serve(): void {
    for (const channel of WORKER_CHANNELS) this.#parts.workerLeases.handle(`workers:${channel}`, this);
  }

  claim(trx: Trx, claim: JobClaim): Promise<ClaimedJob[]> {
    return claimAttempts(trx, claim);
  }

  async begin(held: HeldJob): Promise<HandedAttempt | undefined> {
    const { database, jobs } = this.#parts;
    const job = attemptJobOf(held);
    const found = await findDelivery(held.id, database.read);
    if (!found || isOver(found)) {
      await database.write((trx) => jobs.complete(job, trx));
      return undefined;
    }
    const way = await decideAttempt(this.#parts, job, found);
    if (!way) return undefined;
    try {
      return await this.#handOut(job, found, way.circuit);
    } catch (error) {
      way.circuit.abandoned();
      throw error;
    }
  }

  async complete(held: HeldJob, result: unknown): Promise<AttemptOutcome> {
    const { ends, jobs, database } = this.#parts;
    const job = attemptJobOf(held);
    const found = await findDelivery(held.id, database.read);
    if (!found) await database.write((trx) => jobs.complete(job, trx));
    else {
      const { sender, circuit } = this.#wayOf(found);
      circuit.answered();
      await sender.accepted(found);
      await ends.delivered(job, found, acceptedOf(result));
    }
    return "succeeded";
  }

  async fail(held: HeldJob, failure: FailedAttempt): Promise<AttemptOutcome> {
    const { ends, jobs, database } = this.#parts;
    const job = attemptJobOf(held);
    const error = errorOf(failure);
    const found = await findDelivery(held.id, database.read);
    if (!found) return database.write(async (trx) => (await jobs.fail(job, trx, error, job.worker)).outcome);
    const { sender, circuit } = this.#wayOf(found);
    try {
      return await ends.failed(job, found, sender, circuit, await sender.failed(found, error));
    } finally {
      circuit.abandoned();
    }
  }

  async returned(trx: Trx, jobIds: readonly string[]): Promise<void> {
    const { senders, circuits, ends } = this.#parts;
    const deliveries = await trx.selectFrom("deliveries").selectAll().where("id", "in", jobIds).execute();
    for (const delivery of deliveries) {
      const sender = senders.of(delivery.channel);
      if (sender) circuits.of(sender, delivery.target).abandoned();
      if (delivery.state === "sending") await ends.note(trx, delivery, { state: "queued", reason: null });
    }
  }

  async #handOut(job: AttemptJob, found: DeliveryFacts, circuit: CircuitBreaker): Promise<HandedAttempt | undefined> {
    const { ends } = this.#parts;
    const { notification, offset } = found;
    const { sender } = this.#wayOf(found);
    const delivery = await ends.begin(found);
    try {
      const message = await sender.prepare({ delivery, notification, offset });
      return { deliveryId: delivery.id, channel: delivery.channel, message };
    } catch (error) {
      await ends.failed(job, found, sender, circuit, error);
      circuit.abandoned();
      return undefined;
    }
  }

  #wayOf({ delivery }: DeliveryFacts): { sender: PreparedSender; circuit: CircuitBreaker } {
    const { senders, circuits } = this.#parts;
    const sender = senders.of(delivery.channel);
    if (!(sender instanceof PreparedSender)) throw new TypeError(`no worker sends by ${delivery.channel}`);
    return { sender, circuit: circuits.of(sender, delivery.target) };
  }
}

function attemptJobOf(held: HeldJob): AttemptJob {
  const { id, kind, label, workerId: worker } = held;
  return { id, kind, label, worker, claimed: held };
}

/** What a provider calls the message is for people to look up: what is no such thing is left out. */
function acceptedOf(result: unknown): Accepted {
  const { success, output } = v.safeParse(Result, result);
  return success && output.providerId !== undefined ? { providerId: output.providerId } : {};
}

function errorOf({ error, isPermanent, retryAfterMs, fault, since }: FailedAttempt): Error {
  if (fault === "target") return new DeadTarget(error, since === undefined ? {} : { since });
  if (fault === "provider") return new ProviderDown(error);
  if (isPermanent) return new PermanentError(error);
  return retryAfterMs > 0 ? new RetryLater(error, retryAfterMs) : new Error(error);
}
