import type { QueueName } from "../../../../../src/core/limits/queues.ts";
import type { JobRunner } from "../../../../../src/features/time/jobs/runner/runner.ts";
import type { WorkerLeases } from "../../../../../src/features/time/jobs/worker-leases.ts";
import type { Database } from "../../../../../src/store/database.ts";

/** Effects reach the runner and the leases, as in a server. */
export function applyJobEffects(database: Database, runner: JobRunner, leases?: WorkerLeases): void {
  database.whenCommitted((effect) => {
    if (effect.type === "jobs-added") runner.enqueued(effect.jobs);
    else if (effect.type === "jobs-removed") runner.removed(effect.queue, effect.count);
    else if (effect.type === "jobs-died") for (const job of effect.jobs) runner.died(job);
    else if (effect.type === "queue-changed") runner[effect.isPaused ? "pause" : "resume"](effect.queue as QueueName);
    else if (effect.type === "worker-leased") leases?.leased(effect);
  });
}
