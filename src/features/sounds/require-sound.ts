import { PrismError } from "../../core/errors.ts";
import type { ReadDb, Trx } from "../../store/database.ts";

/** The name of a sound as it is stored; null where none is wanted. @throws SOUND_NOT_FOUND */
export async function requireSound(sound: string | null | undefined, db: ReadDb | Trx): Promise<string | null> {
  if (sound === null || sound === undefined) return null;
  const found = await db
    .selectFrom("sounds")
    .select("filename")
    .where("filename", "=", sound)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  if (!found) throw new PrismError("SOUND_NOT_FOUND", "No such sound");
  return found.filename;
}
