import type { EpochMs } from "../../core/clock.ts";
import type { ReadDb } from "../../store/database.ts";
import { addressesOf, PROOF_MS } from "./addresses.ts";

/** A person who is on call soon, and whom no drill is known to have reached within 14 days. */
export interface UnprovenPerson {
  readonly userId: string;
  /** Username, else name. */
  readonly name: string;
  readonly takesPart: boolean;
}

/** The people of the weekly plan without a proof, by name. For operators: it reads no rosters. */
export async function unprovenPeople(db: ReadDb, now: EpochMs): Promise<UnprovenPerson[]> {
  const people = await db
    .selectFrom("drill_people as d")
    .innerJoin("users as u", "u.id", "d.userId")
    .select(["d.userId", "d.takesPart", "u.username", "u.name"])
    .where("d.plannedAfter", "is not", null)
    .where("u.status", "=", "active")
    .where("u.deletedAt", "is", null)
    .execute();
  if (people.length === 0) return [];
  const confirmed = await db
    .selectFrom("drill_ways")
    .select(["userId", "target", "address"])
    .where(
      "userId",
      "in",
      people.map(({ userId }) => userId),
    )
    .where("startedAt", ">", now - PROOF_MS)
    .where("confirmedAt", "is not", null)
    .execute();
  const addresses = await addressesOf(
    db,
    confirmed.map(({ target }) => target),
  );
  const proven = new Set(
    confirmed.flatMap(({ userId, target, address }) => (addresses.get(target) === address ? userId : [])),
  );
  return people
    .filter(({ userId }) => !proven.has(userId))
    .map(({ userId, username, name, takesPart }) => ({ userId, name: username ?? name, takesPart: takesPart !== 0 }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Such as "ann, bob (takes no part in drills)". */
export function unprovenText(people: readonly UnprovenPerson[]): string {
  const shown = people
    .slice(0, LISTED)
    .map(({ name, takesPart }) => (takesPart ? name : `${name} (takes no part in drills)`));
  return [...shown, ...(people.length > LISTED ? [`${people.length - LISTED} more`] : [])].join(", ");
}

const LISTED = 20;
