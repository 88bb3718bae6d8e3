import type { Selectable } from "kysely";
import { redactFields, redactText } from "../../config/logger.ts";
import { type Clock, toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import { WORKER_CHANNELS, type WorkerChannel } from "../../core/vocabulary.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Database } from "../../store/database.ts";
import type { JobAttemptsTable, JobsTable } from "../../store/schema.ts";
import { mayReadWords, withoutWords } from "./hidden-words.ts";
import { parseQueueName, QUEUES, type QueueName } from "./runner/job.ts";
import type { JobRunner } from "./runner/runner.ts";
import { countJobs, type JobCount } from "./runner/waiting-counts.ts";

export type JobLine = Omit<Selectable<JobsTable>, "payload" | "fence"> & {
  /** JSON text; null where it was left out. */
  readonly payload: string | null;
  readonly payloadBytes: number;
};

export type AttemptLine = Omit<Selectable<JobAttemptsTable>, "jobId">;

/**
 * A job as the caller sees it. What is named or looks like a secret is masked, as in the log, and what other people's timers and scheduled
 * notifications say.
 */
export function jobView({ seq: _seq, workerId: _worker, ...job }: JobLine, caller: UserPrincipal) {
  const payload = masked(job.payload);
  return {
    ...job,
    payload: mayReadWords(caller, job.createdBy) ? payload : withoutWords(payload),
    progress: masked(job.progress),
    result: masked(job.result),
    lastError: job.lastError === null ? null : redactText(job.lastError),
    runAt: toRfc3339(job.runAt),
    startedAt: timeOf(job.startedAt),
    finishedAt: timeOf(job.finishedAt),
    createdAt: toRfc3339(job.createdAt),
  };
}

/** @param failed the attempts that did not succeed; the one that did, or that is under way, stands in the job itself. */
export function jobDetail(job: JobLine, failed: readonly AttemptLine[], caller: UserPrincipal) {
  const attempts = failed.map((attempt) => ({
    ...attempt,
    error: attempt.error === null ? null : redactText(attempt.error),
    startedAt: toRfc3339(attempt.startedAt),
    endedAt: timeOf(attempt.endedAt),
  }));
  return { ...jobView(job, caller), history: [...attempts, ...lastAttempt(job, failed.at(-1)?.attempt ?? 0)] };
}

function lastAttempt({ state, startedAt, finishedAt, workerId }: JobLine, before: number) {
  if ((state !== "running" && state !== "succeeded") || startedAt === null) return [];
  return [
    {
      attempt: before + 1,
      startedAt: toRfc3339(startedAt),
      endedAt: timeOf(finishedAt),
      outcome: state,
      error: null,
      worker: workerId ?? "",
    },
  ];
}

/** @param json as it is stored. */
function masked(json: string | null): unknown {
  if (json === null) return null;
  const { value } = redactFields({ value: JSON.parse(json) as unknown });
  return JSON.parse(redactText(JSON.stringify(value)));
}

function timeOf(at: number | null): string | null {
  return at === null ? null : toRfc3339(at);
}

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
