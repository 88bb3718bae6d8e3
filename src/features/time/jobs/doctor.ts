import { type Finding, pass, warn } from "../../../core/finding.ts";
import type { QueueName } from "../../../core/limits/queues.ts";
import { ageText } from "../../../core/text/clean-text.ts";
import type { StoredFindings } from "../../../module/findings.ts";
import type { ReadDb } from "../../../store/database.ts";
import { PAUSED_KEYS, queueOfKey } from "./operator.ts";
import { countJobs, deadIn, type JobCount } from "./runner/runner-queue.ts";

const QUEUES = "queues";
/** Jobs that wait this long after their due time are reported. */
const OVERDUE_MS = 60_000;

/** Dead jobs, paused queues and late jobs. */
export async function checkQueues(db: ReadDb, isServed: boolean, now = Date.now()): Promise<Finding[]> {
  const counts = await countJobs(db);
  const paused = await pausedQueueNames(db);
  const checks = [...deadJobs(counts), ...pausedOnes(paused), ...lateJobs(counts, paused, isServed, now)];
  if (checks.length > 0) return checks;
  const waiting = counts.filter(({ state }) => state !== "running").reduce((sum, { n }) => sum + n, 0);
  return [pass(QUEUES, `${waiting} waiting, none dead, none overdue; no queue is paused`)];
}

function deadJobs(counts: readonly JobCount[]): Finding[] {
  const dead = deadIn(counts);
  if (dead.length === 0) return [];
  const shown = dead.map(({ queue, n }) => `${n} in ${queue}`).join(", ");
  return [
    warn(QUEUES, `dead jobs: ${shown}`, "prism queue dead lists them, prism queue retry --queue <name> retries them"),
  ];
}

function pausedOnes(paused: readonly string[]): Finding[] {
  if (paused.length === 0) return [];
  return [warn(QUEUES, `paused: ${paused.join(", ")}`, "prism queue resume --all runs their jobs")];
}

/** Jobs of a paused queue are late on purpose. */
function lateJobs(counts: readonly JobCount[], paused: readonly string[], isServed: boolean, now: number): Finding[] {
  const late = new Map<string, number>();
  for (const { queue, state, oldest } of counts) {
    if (state === "dead" || state === "running" || paused.includes(queue) || now - oldest < OVERDUE_MS) continue;
    late.set(queue, Math.min(oldest, late.get(queue) ?? oldest));
  }
  if (late.size === 0) return [];
  const shown = [...late].map(([queue, oldest]) => `${queue} for ${ageText(now - oldest)}`).join(", ");
  const why = isServed ? "the server does not keep up, or no worker serves the queue" : "they run when a server starts";
  return [warn(QUEUES, `jobs are overdue in ${shown}; ${why}`)];
}

async function pausedQueueNames(db: ReadDb): Promise<QueueName[]> {
  const rows = await db
    .selectFrom("settings")
    .select("key")
    .where("key", ">=", PAUSED_KEYS.from)
    .where("key", "<", PAUSED_KEYS.to)
    .execute();
  return rows.map(({ key }) => queueOfKey(key)).filter((name) => name !== undefined);
}

export const STORED: StoredFindings = {
  database: { queues: ({ db, isServed }) => checkQueues(db, isServed) },
};
