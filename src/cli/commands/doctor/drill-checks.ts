import type { Config } from "../../../config/load.ts";
import { unprovenPeople, unprovenText } from "../../../features/drill/unproven.ts";
import { type Check, pass, warn } from "./check.ts";
import type { DoctorDatabase } from "./data-checks.ts";

const NAME = "drills";
const REMEDY = "prism drill <user> sends a test page; a tap on its link is the proof";

/** Whether messages to services can have links that acknowledge. In production the configuration is warned of. */
export async function checkLinks(db: DoctorDatabase, { env, publicUrl }: Config): Promise<Check[]> {
  if (env === "production" || publicUrl !== undefined) return [];
  const used = await db.selectFrom("channels").select("id").where("active", "=", 1).limit(1).executeTakeFirst();
  if (!used) return [];
  const what = "publicUrl is not set: messages of incidents have no link that acknowledges";
  return [warn("channels", what, "set it to the address that the phones reach")];
}

/** Whether pages are known to reach who is on call soon. No check where no one is. */
export async function checkDrills(db: DoctorDatabase, { drill, publicUrl }: Config): Promise<Check[]> {
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
