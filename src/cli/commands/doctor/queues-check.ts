import { sql } from "kysely";
import type { QueueName } from "../../../core/queues.ts";
import { PAUSED_KEYS, queueOfKey } from "../../../features/jobs/operator.ts";
import { countJobs, type JobCount } from "../../../features/jobs/runner/waiting-counts.ts";
import { kyselyOver, ReadDriver } from "../../../store/commit/write-driver.ts";
import type { ReadDb } from "../../../store/database.ts";
import { Scanner } from "../../../store/scanner.ts";
import { SERVER_KEYS_SETTING } from "../../../store/sealed-settings.ts";
import { ageText } from "../../output/text.ts";
import { type Check, pass, warn } from "./check.ts";

/** The database for long looks: in another thread, so that the progress line goes on. */
export type DoctorDatabase = ReadDb;

export function openDoctorDatabase(file: string): { readonly db: DoctorDatabase; close(): Promise<void> } {
  const scanner = new Scanner(file);
  const db = kyselyOver(
    new ReadDriver(async (sql, parameters) => ({ rows: await scanner.query(sql, parameters), changes: 0 })),
  );
  return { db, close: () => scanner.close() };
}

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

const NAME = "queues";
/** A job that waits for so long behind its time is worth a word. */
const OVERDUE_MS = 60_000;

/** What an operator should look at in the queues: jobs that failed for good, queues that stand still, and jobs that are late. */
export async function checkQueues(db: DoctorDatabase, isServed: boolean, now = Date.now()): Promise<Check[]> {
  const counts = await countJobs(db);
  const paused = await pausedQueueNames(db);
  const checks = [...deadJobs(counts), ...pausedOnes(paused), ...lateJobs(counts, paused, isServed, now)];
  if (checks.length > 0) return checks;
  const waiting = counts.filter(({ state }) => state !== "running").reduce((sum, { n }) => sum + n, 0);
  return [pass(NAME, `${waiting} waiting, none dead, none overdue; no queue is paused`)];
}

function deadJobs(counts: readonly JobCount[]): Check[] {
  const dead = counts.filter(({ state }) => state === "dead");
  if (dead.length === 0) return [];
  const shown = dead.map(({ queue, n }) => `${n} in ${queue}`).join(", ");
  return [warn(NAME, `dead jobs: ${shown}`, "prism queue dead shows them, prism queue retry tries them anew")];
}

function pausedOnes(paused: readonly string[]): Check[] {
  if (paused.length === 0) return [];
  return [warn(NAME, `paused: ${paused.join(", ")}`, "prism queue resume lets their jobs run")];
}

/** What a paused queue holds is late because somebody wanted it so. */
function lateJobs(counts: readonly JobCount[], paused: readonly string[], isServed: boolean, now: number): Check[] {
  const late = new Map<string, number>();
  for (const { queue, state, oldest } of counts) {
    if (state === "dead" || state === "running" || paused.includes(queue) || now - oldest < OVERDUE_MS) continue;
    late.set(queue, Math.min(oldest, late.get(queue) ?? oldest));
  }
  if (late.size === 0) return [];
  const shown = [...late].map(([queue, oldest]) => `${queue} for ${ageText(now - oldest)}`).join(", ");
  const why = isServed ? "the server does not keep up, or nobody serves the queue" : "they run when a server starts";
  return [warn(NAME, `jobs are overdue in ${shown}; ${why}`)];
}
