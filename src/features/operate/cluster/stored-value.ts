import type { EpochMs } from "../../../core/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";

/** A value that the leader stores, so that the next one has it. */
export async function readValue<T>(db: ReadDb | Trx, key: string): Promise<T | null> {
  const row = await db.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
  return row === undefined ? null : (JSON.parse(String(row.value)) as T);
}

/** Replaces the value of {@link readValue}. */
export async function storeValue<T>(trx: Trx, key: string, stored: T, updatedAt: EpochMs): Promise<void> {
  const value = JSON.stringify(stored);
  await trx
    .insertInto("settings")
    .values({ key, value, updatedAt })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value, updatedAt }))
    .execute();
}
