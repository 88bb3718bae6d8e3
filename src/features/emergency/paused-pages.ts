import { sql } from "kysely";
import type { EpochMs } from "../../core/clock.ts";
import type { QueueName } from "../../core/queues.ts";
import type { Database } from "../../store/database.ts";
import { pausedKey } from "../jobs/index.ts";

/** Pages that wait in a queue that someone has paused. */
export interface PausedPages {
  readonly queue: string;
  readonly pages: number;
  /** Who paused it, for people. */
  readonly by: string;
  readonly since: EpochMs;
}

/** The jobs of incidents that were due at `before` and wait in these queues, which are paused. */
export async function pausedPages(
  { scan }: Pick<Database, "scan">,
  queues: readonly string[],
  before: EpochMs,
): Promise<PausedPages[]> {
  const counts = await scan
    .selectFrom("jobs as j")
    .innerJoin("incidents as i", "i.id", "j.correlationId")
    .select(["j.queue", (e) => e.fn.countAll<number>().as("pages")])
    .where("j.queue", "in", queues)
    // A literal: SQLite could not use the partial index with a bound value.
    .where("j.state", "=", sql.lit("ready"))
    .where("j.runAt", "<=", before)
    .groupBy("j.queue")
    .execute();
  return Promise.all(
    counts.map(async ({ queue, pages }) => {
      const pause = await scan
        .selectFrom("settings as s")
        .leftJoin("users as u", "u.id", "s.updatedBy")
        .select(["u.username", "s.updatedAt"])
        .where("s.key", "=", pausedKey(queue as QueueName))
        .executeTakeFirst();
      return { queue, pages, by: pause?.username ?? "An operator", since: pause?.updatedAt ?? before };
    }),
  );
}
