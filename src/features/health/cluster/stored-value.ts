import type { EpochMs } from "../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { putSetting, readSetting } from "../../../store/setting-rows.ts";

/** A value that the leader stores, so that the next one has it. */
export async function readValue<T>(db: ReadDb | Trx, key: string): Promise<T | null> {
  const stored = await readSetting(db, key);
  return stored === undefined ? null : (JSON.parse(String(stored)) as T);
}

/** Replaces the value of {@link readValue}. */
export async function storeValue<T>(trx: Trx, key: string, stored: T, updatedAt: EpochMs): Promise<void> {
  await putSetting(trx, key, JSON.stringify(stored), updatedAt);
}
