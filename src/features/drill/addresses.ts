import { createHash } from "node:crypto";
import { DAY_MS } from "../../core/clock.ts";
import type { ReadDb, Trx } from "../../store/database.ts";

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
