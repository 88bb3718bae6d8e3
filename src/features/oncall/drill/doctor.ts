import type { Config } from "../../../config/load.ts";
import { type Finding, pass, warn } from "../../../core/finding.ts";
import type { StoredFindings } from "../../../module/findings.ts";
import type { ReadDb } from "../../../store/database.ts";
import { unprovenPeople, unprovenText } from "./unproven.ts";

const NAME = "drills";
const REMEDY = "prism drill <user> sends a test page; a tap on its link is the proof";

/** Whether pages are known to reach who is on call soon. No check where no one is. */
export async function checkDrills(db: ReadDb, { drill, publicUrl }: Config): Promise<Finding[]> {
  const planned = await db
    .selectFrom("drill_people")
    .select((e) => e.fn.countAll<number>().as("n"))
    .where("plannedAfter", "is not", null)
    .executeTakeFirstOrThrow();
  if (!drill.enabled || planned.n === 0) return [];
  const people = await unprovenPeople(db, Date.now());
  if (people.length === 0) return [pass(NAME, "pages are known to reach who is on call soon")];
  const remedy = publicUrl === undefined ? "set publicUrl: without it the message has no link to tap" : REMEDY;
  return [warn(NAME, `on call soon without proof within 14 days: ${unprovenText(people)}`, remedy)];
}

export const STORED: StoredFindings = {
  database: { drills: ({ db, config }) => checkDrills(db, config) },
};
