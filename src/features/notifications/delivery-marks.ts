import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import type { Clock } from "../../core/clock.ts";
import type { Committer } from "../../store/commit/committer.ts";
import type { Database } from "../../store/database.ts";

/** Rows looked up at a time when a client acknowledges many. */
const PAGE_ROWS = 1000;

/** Marks of live delivery: they go to disk with the next write set, not in a commit of their own. */
export class DeliveryMarks {
  readonly #database: Database;
  readonly #committer: Committer;
  readonly #clock: Clock;

  constructor(database: Database, committer: Committer, clock: Clock) {
    this.#database = database;
    this.#committer = committer;
    this.#clock = clock;
  }

  /** The recipient's row with this offset has reached its user. */
  one(userId: string, seq: number): void {
    this.#committer.markDelivered({ userId, seq, at: this.#clock.now() });
  }

  /** {@link one}, by a client of the embedded Pusher server. */
  oneByPusher(userId: string, seq: number): void {
    this.#committer.markDelivered({ userId, seq, at: this.#clock.now(), byPusher: true });
  }

  /** Everything of the user's own stream up to an offset has been handled by a client. */
  async upTo(userId: string, offset: number): Promise<void> {
    for (let after = 0; ; await setImmediate()) {
      const seqs = await this.#undelivered(userId, after, offset);
      for (const seq of seqs) this.one(userId, seq);
      if (seqs.length < PAGE_ROWS) return;
      after = seqs.at(-1) ?? offset;
    }
  }

  async #undelivered(userId: string, after: number, upTo: number): Promise<number[]> {
    const rows = await this.#database.read
      .selectFrom("notification_recipients")
      .select("seq")
      .where("userId", "=", userId)
      .where("seq", ">", after)
      .where("seq", "<=", upTo)
      .where("delivered", "=", sql.lit<0>(0)) // a literal, as in the partial undelivered index
      .where("deletedAt", "is", null)
      .orderBy("seq")
      .limit(PAGE_ROWS)
      .execute();
    return rows.map(({ seq }) => seq);
  }
}
