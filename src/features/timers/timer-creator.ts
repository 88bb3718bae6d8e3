import { sql } from "kysely";
import type { Config } from "../../config/load.ts";
import type { EpochMs } from "../../core/clock.ts";
import { limitReached, PrismError } from "../../core/errors.ts";
import type { Principal } from "../../core/principal.ts";
import { holdersOf } from "../../store/commit/job-table.ts";
import type { Trx } from "../../store/database.ts";
import type { Principals } from "../access/index.ts";

const KEY = "key:";

/** How a row names who made it (`createdBy`): a user by id, an API key as `key:<id>`, the program and its modules as null. */
export function creatorIdOf(principal: Principal | null): string | null {
  if (!principal) return null;
  return principal.kind === "apiKey" ? principal.key : principal.userId;
}

/** {@link creatorIdOf} the other way, with the rights of this moment. @throws ACCOUNT_DISABLED and its like, TOKEN_INVALID, INVALID_API_KEY */
export function creatorOf(createdBy: string | null, principals: Principals): Principal | null {
  if (createdBy === null) return null;
  return createdBy.startsWith(KEY) ? principals.ofKey(createdBy.slice(KEY.length)) : principals.ofUser(createdBy);
}

/** Timers of one creator that have the same priority. */
const TIMERS_PER_LEVEL = 50;

export type TimerSettings = Config["limits"];

/**
 * Checks that one more timer may wait, and says where it queues: the more unfinished timers a creator has, the later his
 * next one comes among those that are due, so that the many timers of one do not delay the few of another.
 * @param createdBy null: the program and its modules, which have no limit. @param dedupeKey of a timer that may wait already
 * @returns the priority of its job. @throws LIMIT_REACHED
 */
export async function timerPriority(
  trx: Trx,
  { createdBy, dedupeKey }: { readonly createdBy: string | null; readonly dedupeKey: string | null },
  { timersPerUser }: Pick<TimerSettings, "timersPerUser">,
): Promise<number> {
  if (createdBy === null) return 0;
  const count = await countUnfinished(trx, createdBy, timersPerUser);
  if (count >= timersPerUser && !(dedupeKey !== null && (await holdersOf(trx, "timers", [dedupeKey])).length > 0))
    throw limitReached("You have too many unfinished timers", "limits.timersPerUser", timersPerUser);
  // A literal 0 for the first level: -0 is no integer for SQLite.
  return 0 - Math.floor(count / TIMERS_PER_LEVEL);
}

/**
 * Checks the next runs of a recurring timer: a pattern that runs more often than once a minute does so in any minute it runs.
 * @param runs instants, ascending. @throws VALIDATION_FAILED
 */
export function requireInterval(runs: readonly { readonly at: EpochMs }[], minRepeatMs: number): void {
  if (!runs.some(({ at }, i) => i > 0 && at - (runs[i - 1]?.at ?? 0) < minRepeatMs)) return;
  const message = `runs must be ${minRepeatMs} ms apart without jobs:manage (setting limits.minRepeatMs)`;
  throw new PrismError("VALIDATION_FAILED", `cron: ${message}`, {
    details: [{ path: "cron", code: "TOO_OFTEN", message }],
  });
}

/** Counts to the limit only. */
async function countUnfinished(trx: Trx, createdBy: string, limit: number): Promise<number> {
  const jobs = trx
    .selectFrom("jobs")
    .select("id")
    // As in the partial index; a bound value would not be known to be in it.
    .where("queue", "=", sql.lit("timers"))
    .where("finishedAt", "is", null)
    .where("createdBy", "=", createdBy)
    .limit(limit);
  const row = await trx
    .selectFrom(jobs.as("j"))
    .select((e) => e.fn.countAll<number>().as("n"))
    .executeTakeFirst();
  return row?.n ?? 0;
}
