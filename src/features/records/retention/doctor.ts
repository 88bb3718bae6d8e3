import type { Config } from "../../../config/load.ts";
import { type Finding, fail, pass, warn } from "../../../core/finding.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import type { StoredFindings } from "../../../module/findings.ts";
import type { ReadDb } from "../../../store/database.ts";
import { reading } from "../../../store/sqlite/connection.ts";
import { clockWarning, storedClockFacts } from "./clock-trust.ts";

const CLOCK_TOLERANCE_MS = 5000;
/** Earlier than this program was written: a clock before it is wrong. */
const EARLIEST = Date.UTC(2025, 0, 1);

/** A clock before stored rows would sort new rows before old; one ahead suspends retention. */
export async function checkClock(db: ReadDb | null, config: Config): Promise<Finding[]> {
  const now = Date.now();
  if (now < EARLIEST) return [fail("clock", `says ${toRfc3339(now)}`, "set the clock")];
  const newestAt = db ? await newestRowAt(db) : 0;
  if (newestAt > now + CLOCK_TOLERANCE_MS) {
    const behindS = Math.round((newestAt - now) / 1000);
    return [warn("clock", `is ${behindS} s earlier than the newest row (${toRfc3339(newestAt)})`, "set the clock")];
  }
  const doubt = db ? reading(config.databaseFile, (connection) => clockWarning(storedClockFacts(connection))) : null;
  return [doubt === null ? pass("clock", toRfc3339(now)) : warn("clock", doubt)];
}

/** The latest instant stored by the server's clock; 0 in an empty database. */
async function newestRowAt(db: ReadDb): Promise<number> {
  const event = await db
    .selectFrom("events")
    .select("receivedAt as at")
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  const act = await db
    .selectFrom("audit_log")
    .select("timestamp as at")
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return Math.max(event?.at ?? 0, act?.at ?? 0);
}

export const STORED: StoredFindings = {
  last: { clock: ({ db, config }) => checkClock(db, config) },
};
