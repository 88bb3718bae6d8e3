import { sql } from "kysely";
import type { CoreServices } from "../../services/module.ts";

/** How many jobs of a queue are in a state, and since when the first of them could run. */
export interface JobCount {
  readonly queue: string;
  readonly state: string;
  readonly n: number;
  /** Epoch ms. */
  readonly oldest: number;
}

/**
 * The states that count, as the predicates of their partial indexes: one query over all of them would read every finished job there is, and a
 * bound value could be any, so SQLite would use no partial index.
 */
const COUNTED = [
  sql<boolean>`state = 'ready'`,
  sql<boolean>`state in ('scheduled', 'retrying')`,
  sql<boolean>`state = 'running'`,
  sql<boolean>`state = 'dead'`,
];

/** Unfinished and dead jobs; states without any are left out. Counted on the scanning connection: there may be many. */
export async function countJobs(scan: CoreServices["db"]["scan"]): Promise<readonly JobCount[]> {
  const groups = await Promise.all(
    COUNTED.map((states) =>
      scan
        .selectFrom("jobs")
        .select(["queue", "state", (e) => e.fn.countAll<number>().as("n"), sql<number>`min(runAt)`.as("oldest")])
        .where(states)
        .groupBy(["queue", "state"])
        .execute(),
    ),
  );
  return groups.flat();
}
