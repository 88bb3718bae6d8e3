import { sql } from "kysely";
import { PAUSED_KEYS, queueOfKey } from "../../../features/jobs/queue-control.ts";
import type { QueueName } from "../../../features/jobs/runner/job.ts";
import { SERVER_KEYS_SETTING } from "../../../store/sealing-keys.ts";
import type { DoctorDatabase } from "./doctor-database.ts";

/** What SQLite finds wrong with the file (https://www.sqlite.org/pragma.html#pragma_quick_check); empty when nothing. */
export async function quickCheck(db: DoctorDatabase, deep: boolean): Promise<string[]> {
  const query = deep
    ? sql<Record<string, string>>`pragma integrity_check`
    : sql<Record<string, string>>`pragma quick_check`;
  const { rows } = await query.execute(db);
  return rows.flatMap((row) => Object.values(row)).filter((message) => message !== "ok");
}

export async function foreignKeyViolations(db: DoctorDatabase): Promise<{ table: string; parent: string }[]> {
  const { rows } = await sql<{ table: string; parent: string }>`pragma foreign_key_check`.execute(db);
  return rows;
}

export async function hasAuditKey(db: DoctorDatabase): Promise<boolean> {
  const row = await db.selectFrom("settings").select("key").where("key", "=", "audit.key").executeTakeFirst();
  return row !== undefined;
}

/** Whether a server has ever run on it. */
export async function hasServed(db: DoctorDatabase): Promise<boolean> {
  const row = await db.selectFrom("settings").select("key").where("key", "=", SERVER_KEYS_SETTING).executeTakeFirst();
  return row !== undefined;
}

/** The newest instant that was stored by the server's clock; 0 in an empty database. */
export async function clockFacts(db: DoctorDatabase): Promise<number> {
  const event = await db
    .selectFrom("events")
    .select("receivedAt as at")
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  const act = await db
    .selectFrom("audit_log")
    .select("timestamp as at")
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return Math.max(event?.at ?? 0, act?.at ?? 0);
}

/** The queues that an operator has paused. */
export async function pausedQueueNames(db: DoctorDatabase): Promise<QueueName[]> {
  const rows = await db
    .selectFrom("settings")
    .select("key")
    .where("key", ">=", PAUSED_KEYS.from)
    .where("key", "<", PAUSED_KEYS.to)
    .execute();
  return rows.map(({ key }) => queueOfKey(key)).filter((name) => name !== undefined);
}
