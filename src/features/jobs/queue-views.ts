import type { CoreServices } from "../../app/module.ts";
import { PrismError } from "../../core/errors.ts";
import { WORKER_CHANNELS } from "../../core/worker-channels.ts";
import { parseQueueName, QUEUES, type QueueName } from "./runner/job.ts";
import { countJobs, type JobCount } from "./runner/waiting-counts.ts";

/** A queue as an operator sees it. */
export interface QueueView {
  readonly name: QueueName;
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly retrying: number;
  readonly dead: number;
  readonly paused: boolean;
  /** How long the first of those that are ready could have run; null when none is. */
  readonly oldestReadyAgeMs: number | null;
  readonly concurrency: number;
  readonly maxAttempts: number;
}

/** The program's queues, those of modules which are loaded, those left to workers, and all others that are paused or have jobs which are unfinished or dead. */
export async function queueViews(services: CoreServices): Promise<QueueView[]> {
  const { db, system } = services;
  const counts = await countJobs(db.scan);
  const names = new Set<QueueName>(
    [...QUEUES, ...system.runner.queueNames, ...forWorkers(system)].concat(namesOf(counts)),
  );
  return [...names].map((name) => viewOf(services, name, counts));
}

/** @param ref a queue's name, or the one by which S2 knows it. @throws QUEUE_NOT_FOUND */
export async function queueView(services: CoreServices, ref: string): Promise<QueueView> {
  const name = parseQueueName(ref);
  const view = (await queueViews(services)).find((queue) => queue.name === name);
  if (!view) throw new PrismError("QUEUE_NOT_FOUND", "No such queue");
  return view;
}

function forWorkers({ senders }: CoreServices["system"]): QueueName[] {
  return WORKER_CHANNELS.filter((channel) => senders.isForWorkers(channel)).map((channel) => senders.queueOf(channel));
}

function namesOf(counts: readonly JobCount[]): QueueName[] {
  return counts.map(({ queue }) => queue as QueueName).toSorted();
}

function viewOf({ system, clock }: CoreServices, name: QueueName, counts: readonly JobCount[]): QueueView {
  const of = (state: string): JobCount | undefined =>
    counts.find((count) => count.queue === name && count.state === state);
  const oldest = of("ready")?.oldest;
  const { concurrency, maxAttempts } = system.settings.queue(name);
  return {
    name,
    ready: of("ready")?.n ?? 0,
    scheduled: of("scheduled")?.n ?? 0,
    running: of("running")?.n ?? 0,
    retrying: of("retrying")?.n ?? 0,
    dead: of("dead")?.n ?? 0,
    paused: system.runner.isPaused(name),
    oldestReadyAgeMs: oldest === undefined ? null : Math.max(0, clock.now() - oldest),
    concurrency,
    maxAttempts,
  };
}
