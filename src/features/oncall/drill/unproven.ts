import { createHash } from "node:crypto";
import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";

/** A person who is on call soon, and whom no drill is known to have reached within 14 days. */
export interface UnprovenPerson {
  readonly userId: string;
  /** Username, else name: what commands take. */
  readonly name: string;
  /** Name, else username. */
  readonly shownName: string;
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
    .map(({ userId, username, name, takesPart }) => ({
      ...{ userId, name: username ?? name, shownName: name || (username ?? ""), takesPart: takesPart !== 0 },
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Such as "ann, bob (takes no part in drills)". */
export function unprovenText(people: readonly Pick<UnprovenPerson, "name" | "takesPart">[]): string {
  const shown = people
    .slice(0, LISTED)
    .map(({ name, takesPart }) => (takesPart ? name : `${name} (takes no part in drills)`));
  return [...shown, ...(people.length > LISTED ? [`${people.length - LISTED} more`] : [])].join(", ");
}

const LISTED = 20;

/** An older proof is none. */
export const PROOF_MS = 14 * DAY_MS;

/** Hashes of where targets lead, by their keys: a changed address has no proof. */
export async function addressesOf(db: ReadDb | Trx, targets: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const parsed = targets.map((target) => {
    const [channel = "", userId = "", id = ""] = target.split(" ");
    return { target, channel, userId, id };
  });
  const idsOf = (channel: string, column: "userId" | "id"): string[] =>
    parsed.filter((each) => each.channel === channel).map((each) => each[column]);
  const places = new Map<string, string>();
  for (const { id, email } of await read(idsOf("email", "userId"), (ids) =>
    db.selectFrom("users").select(["id", "email"]).where("id", "in", ids).execute(),
  ))
    places.set(id, email?.toLowerCase() ?? "");
  for (const { id, url } of await read(idsOf("webhook", "id"), (ids) =>
    db.selectFrom("webhooks").select(["id", "url"]).where("id", "in", ids).execute(),
  ))
    places.set(id, url);
  for (const { id, preset, fields, secrets } of await read(idsOf("service", "id"), (ids) =>
    db.selectFrom("channels").select(["id", "preset", "fields", "secrets"]).where("id", "in", ids).execute(),
  ))
    places.set(id, `${preset} ${fields} ${Buffer.from(secrets).toString("base64")}`);
  return new Map(
    parsed.map(({ target, channel, userId, id }) => [
      target,
      hashOf(places.get(channel === "email" ? userId : id) ?? ""),
    ]),
  );
}

function read<T>(ids: readonly string[], find: (ids: readonly string[]) => Promise<T[]>): Promise<T[]> {
  return ids.length === 0 ? Promise.resolve([]) : find(ids);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}
