import { countJobs, type JobCount } from "../../../features/jobs/runner/waiting-counts.ts";
import { ageText } from "../../output/age-text.ts";
import { type Check, pass, warn } from "./check.ts";
import { pausedQueueNames } from "./database-queries.ts";
import type { DoctorDatabase } from "./doctor-database.ts";

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
