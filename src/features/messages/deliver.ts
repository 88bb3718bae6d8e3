import { PrismError } from "../../core/errors.ts";
import type { Trx } from "../../store/database.ts";
import type { MovedJob } from "../jobs/index.ts";
import { COMPLETED, LostLease, PermanentError, type RunningJob } from "../jobs/index.ts";
import * as queries from "./queries.ts";
import { type MessagesContext, moveTo, queuedStep, sidesOf } from "./transition.ts";

export const MESSAGE_JOB = "message.deliver";

/** What the job of a message holds: never its content. */
export interface MessageJob {
  readonly messageId: string;
}

/** Told to the sender in place of what went wrong inside of Prism; the job has the error itself. */
const INTERNAL = "the delivery failed";

/**
 * Takes messages to their recipients (contract 8.7). An attempt is two transactions: one that says it has begun, and one in which the message is
 * delivered, both sides are told, and the job is done; or in which it failed, and waits for its next attempt or is dead.
 */
export class Delivery {
  readonly #context: MessagesContext;

  constructor(context: MessagesContext) {
    this.#context = context;
  }

  /** From now on messages are delivered, and go with their jobs whoever moves these. */
  begin(): void {
    const { runner, jobControl } = this.#context;
    runner.handle(MESSAGE_JOB, (job) => this.#attempt(job), { notesBegin: true });
    jobControl.whenEnded(MESSAGE_JOB, (trx, moved) => this.#follow(trx, moved));
  }

  async #attempt(job: RunningJob): Promise<typeof COMPLETED> {
    const { db } = this.#context;
    await db.write((trx) => this.#claim(trx, job), { sharesCommit: true });
    try {
      await db.write((trx) => this.#end(trx, job), { sharesCommit: true });
    } catch (error) {
      if (error instanceof LostLease) throw error;
      await db.write((trx) => this.#fail(trx, job, { error, shown: INTERNAL }));
    }
    return COMPLETED;
  }

  async #claim(trx: Trx, job: RunningJob): Promise<void> {
    const message = await this.#messageOf(trx, job);
    if (message.deliveredAt !== null || message.status === "cancelled")
      throw new PermanentError(`the message is ${message.status}`);
    const before = message.status === "scheduled" ? [queuedStep(message)] : [];
    await moveTo(this.#context, trx, message, "delivering", { attempts: message.attempts + 1, before });
  }

  /** Delivered, told and done are one: exactly once. */
  async #end(trx: Trx, job: RunningJob): Promise<void> {
    const { realtime, jobs, clock } = this.#context;
    const message = await this.#messageOf(trx, job);
    const obstacle = await this.#obstacle(trx, message);
    if (obstacle) {
      await this.#fail(trx, job, { error: obstacle, shown: obstacle.message });
      return;
    }
    const at = clock.now();
    const changes = { deliveredAt: at, lastError: null };
    for (const userId of sidesOf(message))
      await realtime.publish({ kind: "messages", userId }, "message", { id: message.id }, { trx, isAbridged: true });
    await moveTo(this.#context, trx, message, "delivered", { ...changes, at });
    await jobs.complete(job, trx);
  }

  /** Why the message cannot reach its recipient now; null when it can. */
  async #obstacle(
    trx: Trx,
    { senderId, recipientId }: Pick<queries.TrackedMessage, "senderId" | "recipientId">,
  ): Promise<Error | null> {
    const active = await trx
      .selectFrom("users")
      .select("id")
      .where("id", "in", [senderId, recipientId])
      .where("status", "=", "active")
      .where("deletedAt", "is", null)
      .execute();
    const isActive = (userId: string): boolean => active.some(({ id }) => id === userId);
    // As with timers: who was shut out sends nothing any more.
    if (!isActive(senderId)) return new PermanentError("the sender's account is not active");
    return isActive(recipientId) ? null : new Error("the recipient's account is not active");
  }

  async #fail(trx: Trx, job: RunningJob, { error, shown }: { error: unknown; shown: string }): Promise<void> {
    const { jobs, log } = this.#context;
    const message = await this.#messageOf(trx, job);
    const { outcome, queue } = await jobs.fail(job, trx, error);
    await moveTo(this.#context, trx, message, outcome, { lastError: shown });
    log
      .namespace("messages")
      .warn({ messageId: message.id, jobId: job.id, outcome, queue, err: error }, "a message was not delivered");
  }

  /**
   * An operator has moved the job, or a crash has cut its attempt short: the message goes with it. One that was cancelled is not delivered any
   * more, whoever wants its job tried again.
   */
  async #follow(trx: Trx, { jobId, state, error }: MovedJob): Promise<void> {
    const at = this.#context.clock.now();
    const message = await queries.findByJob(trx, jobId);
    if (!message || message.deliveredAt !== null) return;
    if (message.status === "cancelled")
      throw new PrismError("INVALID_STATE", "The message was cancelled; it is not delivered any more");
    if (state === "cancelled") await moveTo(this.#context, trx, message, "cancelled", { cancelledAt: at, at });
    else if (message.shownStatus !== message.status)
      await moveTo(this.#context, trx, message, message.shownStatus, error === null ? {} : { lastError: error });
  }

  async #messageOf(trx: Trx, { payload }: RunningJob): Promise<queries.TrackedMessage> {
    const message = await queries.findMessage(trx, (payload as MessageJob).messageId);
    if (!message) throw new PermanentError("the message is gone");
    return message;
  }
}
