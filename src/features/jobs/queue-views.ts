import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { WORKER_CHANNELS, type WorkerChannel } from "../../core/worker-channels.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Database } from "../../store/database.ts";
import { parseQueueName, QUEUES, type QueueName } from "./runner/job.ts";
import type { JobRunner } from "./runner/runner.ts";
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

/** Which channels are left to workers, and the queues of their attempts. */
export interface WorkerChannels {
  isForWorkers(channel: WorkerChannel): boolean;
  queueOf(channel: WorkerChannel): QueueName;
}

export interface QueueParts {
  readonly db: Pick<Database, "scan">;
  readonly clock: Clock;
  readonly runner: JobRunner;
  readonly channels: WorkerChannels;
  readonly settings: LiveSettings;
}

/** The program's queues, those of modules which are loaded, those left to workers, and all others that are paused or have jobs which are unfinished or dead. */
export async function queueViews(parts: QueueParts): Promise<QueueView[]> {
  const { db, runner, channels } = parts;
  const counts = await countJobs(db.scan);
  const names = new Set<QueueName>([...QUEUES, ...runner.queueNames, ...forWorkers(channels)].concat(namesOf(counts)));
  return [...names].map((name) => viewOf(parts, name, counts));
}

/** @param ref a queue's name, or the one by which S2 knows it. @throws QUEUE_NOT_FOUND */
export async function queueView(parts: QueueParts, ref: string): Promise<QueueView> {
  const name = parseQueueName(ref);
  const view = (await queueViews(parts)).find((queue) => queue.name === name);
  if (!view) throw new PrismError("QUEUE_NOT_FOUND", "No such queue");
  return view;
}

function forWorkers(channels: WorkerChannels): QueueName[] {
  return WORKER_CHANNELS.filter((channel) => channels.isForWorkers(channel)).map((channel) =>
    channels.queueOf(channel),
  );
}

function namesOf(counts: readonly JobCount[]): QueueName[] {
  return counts.map(({ queue }) => queue as QueueName).toSorted();
}

function viewOf({ clock, runner, settings }: QueueParts, name: QueueName, counts: readonly JobCount[]): QueueView {
  const of = (state: string): JobCount | undefined =>
    counts.find((count) => count.queue === name && count.state === state);
  const oldest = of("ready")?.oldest;
  const { concurrency, maxAttempts } = settings.queue(name);
  return {
    name,
    ready: of("ready")?.n ?? 0,
    scheduled: of("scheduled")?.n ?? 0,
    running: of("running")?.n ?? 0,
    retrying: of("retrying")?.n ?? 0,
    dead: of("dead")?.n ?? 0,
    paused: runner.isPaused(name),
    oldestReadyAgeMs: oldest === undefined ? null : Math.max(0, clock.now() - oldest),
    concurrency,
    maxAttempts,
  };
}
