import type { Clock } from "../base/clock.ts";
import type { Committer } from "../store/committer.ts";
import type { Database } from "../store/database.ts";

/** Step 9 of the pipeline: that a recipient was told goes to disk with the next write set, not in a commit of its own. */
export class DeliveryMarks {
  readonly #database: Database;
  readonly #committer: Committer;
  readonly #clock: Clock;

  constructor(database: Database, committer: Committer, clock: Clock) {
    this.#database = database;
    this.#committer = committer;
    this.#clock = clock;
  }

  one(userId: string, seq: number): void {
    this.#committer.markDelivered({ userId, seq, at: this.#clock.now() });
  }

  /** Everything of the user's own stream up to an offset has been handled by a client. */
  async upTo(userId: string, offset: number): Promise<void> {
    const rows = await this.#database.read
      .selectFrom("notification_recipients")
      .select("seq")
      .where("userId", "=", userId)
      .where("seq", "<=", offset)
      .where("delivered", "=", 0)
      .where("deletedAt", "is", null)
      .execute();
    for (const { seq } of rows) this.one(userId, seq);
  }
}
