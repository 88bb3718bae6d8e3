import type { EpochMs } from "../core/time/clock.ts";
import type { ReadDb, Trx } from "./database.ts";
import type { Schema } from "./schema.ts";

type SettingValue = Schema["settings"]["value"];

/** The value of a row of `settings`; undefined without one. */
export async function readSetting(db: ReadDb | Trx, key: string): Promise<SettingValue | undefined> {
  const row = await db.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
  return row?.value;
}

/** Stores a row of `settings`, or replaces its value. */
export async function putSetting(trx: Trx, key: string, value: SettingValue, updatedAt: EpochMs): Promise<void> {
  const row = { value, updatedAt };
  await trx
    .insertInto("settings")
    .values({ key, ...row })
    .onConflict((conflict) => conflict.column("key").doUpdateSet(row))
    .execute();
}
