import type { ReadDb, Trx } from "../../store/database.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import type { Accepted, Attempt, Caller, NotificationFacts, Sender, Target } from "./sender.ts";

/** An attempt without its signal: its call may be made elsewhere. */
export type AttemptFacts = Omit<Attempt, "signal">;

/**
 * A sender whose attempts have three parts: what is to be said is put together, one call says it, and what the answer means for the place is noted.
 * The call needs nothing of the server's, so that a worker elsewhere can make it with the same {@link Caller}.
 */
export abstract class PreparedSender<M extends object = object> implements Sender {
  abstract readonly channel: OutsideChannel;
  protected abstract readonly caller: Caller<M>;

  get isConfigured(): boolean {
    return this.caller.isConfigured;
  }

  abstract targets(
    userIds: readonly string[],
    notification: NotificationFacts,
    db: ReadDb | Trx,
  ): Promise<readonly Target[]>;

  /** All that the call needs besides the provider's settings, as JSON. @throws DeadTarget, PermanentError, Error to be tried again */
  abstract prepare(attempt: AttemptFacts): Promise<M>;

  /** Notes that the place was reached. */
  async accepted(_attempt: AttemptFacts): Promise<void> {}

  /** Notes what a failed call says of the place. @returns what the attempt has failed with, which may be more than the call knew */
  async failed(_attempt: AttemptFacts, error: unknown): Promise<unknown> {
    return error;
  }

  async send(attempt: Attempt): Promise<Accepted> {
    const message = await this.prepare(attempt);
    const accepted = await this.#call(message, attempt);
    await this.accepted(attempt);
    return accepted;
  }

  async close(): Promise<void> {
    await this.caller.close?.();
  }

  async #call(message: M, attempt: Attempt): Promise<Accepted> {
    try {
      return await this.caller.call(message, attempt.signal);
    } catch (error) {
      // What was given up says nothing of anybody.
      throw attempt.signal.aborted ? error : await this.failed(attempt, error);
    }
  }
}
