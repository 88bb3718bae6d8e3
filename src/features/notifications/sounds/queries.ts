import { sql } from "kysely";
import { PrismError } from "../../../core/errors.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";

/** The stored name of a sound. Names ignore case. @returns undefined if there is none */
export async function storedName(db: ReadDb | Trx, filename: string): Promise<string | undefined> {
  const found = await db
    .selectFrom("sounds")
    .select("filename")
    .where("filename", "=", filename)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  return found?.filename;
}

/** Ids of the first rules with this sound. */
export async function rulesWith(trx: Trx, filename: string, limit: number): Promise<string[]> {
  const rows = await trx
    .selectFrom("rules")
    .select("id")
    .where(sql<string>`sound collate nocase`, "=", filename)
    .where("sound", "is not", null)
    .where("deletedAt", "is", null)
    .orderBy("id")
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

/** Number of rules by the lower-case name of their sound. */
export async function ruleCounts(db: ReadDb, filenames: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (filenames.length === 0) return new Map();
  const rows = await db
    .selectFrom("rules")
    .select((e) => [sql<string>`lower(sound)`.as("name"), e.fn.countAll<number>().as("n")])
    .where(sql<string>`sound collate nocase`, "in", filenames)
    .where("sound", "is not", null)
    .where("deletedAt", "is", null)
    .groupBy("name")
    .execute();
  return new Map(rows.map(({ name, n }) => [name, n]));
}

/** The stored name of a sound; null for none. @throws SOUND_NOT_FOUND */
export async function requireSound(sound: string | null | undefined, db: ReadDb | Trx): Promise<string | null> {
  if (sound === null || sound === undefined) return null;
  const found = await storedName(db, sound);
  if (found === undefined) throw new PrismError("SOUND_NOT_FOUND", "No such sound");
  return found;
}

/** Keys of the files in the data directory. */
export async function storedKeys(db: ReadDb): Promise<string[]> {
  const stored = db.selectFrom("sounds").select("storageKey").where("storage", "=", "local");
  return (await stored.where("deletedAt", "is", null).execute()).map(({ storageKey }) => storageKey);
}
