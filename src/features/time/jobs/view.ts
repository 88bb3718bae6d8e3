import type { Selectable } from "kysely";
import { redactFields, redactText } from "../../../config/logger.ts";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { parseQueueName, QUEUES, type QueueName } from "../../../core/limits/queues.ts";
import { WORKER_CHANNELS } from "../../../core/text/vocabulary.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { Context } from "../../../module/feature.ts";
import type { JobAttemptsTable, JobsTable } from "../../../store/schema.ts";
import { countJobs, type JobCount } from "./runner/runner-queue.ts";

/** Replaces text that the caller may not read. */
export const MASK = "***";

const WORDS = ["title", "message", "body", "data"];

/**
 * Whether the caller may read the texts of a timer or scheduled notification: its creator, and
 * users who may read all notifications.
 */
export function mayReadWords({ userId, permissions }: PermissionHolder, createdBy: string | null): boolean {
  return createdBy === userId || permissions.has("notifications:read_all");
}

/** Masks the texts in the payload of a timer's or scheduled notification's job. */
function withoutWords(payload: unknown): unknown {
  if (!isObject(payload)) return payload;
  if (isObject(payload["notification"])) return { ...payload, notification: maskWords(payload["notification"]) };
  return isObject(payload["action"]) ? { ...payload, action: actionWithoutWords(payload["action"]) } : payload;
}

/** The work of a timer's schedule as a caller with `jobs:read` sees it. */
export function withoutWordsOf<W extends { readonly label: string | null; readonly payload: unknown }>(work: W): W {
  return { ...work, label: work.label === null ? null : MASK, payload: withoutWords(work.payload) };
}

/** Masks a timer's action: texts and data of a notification, otherwise the whole payload. */
export function actionWithoutWords<A extends object>(action: A): A {
  const { type, payload } = action as { type?: unknown; payload?: unknown };
  const masked = type === "notify" && isObject(payload) ? maskWords(payload) : MASK;
  return payload === undefined ? action : { ...action, payload: masked };
}

function maskWords(texts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(texts);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, WORDS.includes(name) && value !== null ? MASK : value]),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export type JobLine = Omit<Selectable<JobsTable>, "payload" | "fence" | "begunFence"> & {
  /** JSON text; null if it was left out. */
  readonly payload: string | null;
  readonly payloadBytes: number;
};

/** How an attempt ended that is kept apart from its job. */
export interface Ended {
  outcome: "retrying" | "dead" | "lost";
}

export type AttemptLine = Omit<Selectable<JobAttemptsTable>, "jobId" | "outcome"> & Ended;

/**
 * A job as the caller sees it. Masks names and values that look like secrets, as in the log, and
 * the texts and labels of other users' timers and scheduled notifications.
 */
export function jobView({ seq: _seq, workerId: _worker, ...job }: JobLine, caller: PermissionHolder) {
  const payload = masked(job.payload);
  return {
    ...job,
    label: labelFor(job, caller),
    payload: mayReadWords(caller, job.createdBy) ? payload : withoutWords(payload),
    progress: masked(job.progress),
    result: masked(job.result),
    lastError: job.lastError === null ? null : redactText(job.lastError),
    runAt: toRfc3339(job.runAt),
    startedAt: toRfc3339OrNull(job.startedAt),
    finishedAt: toRfc3339OrNull(job.finishedAt),
    createdAt: toRfc3339(job.createdAt),
  };
}

/** People name their timers: others with `jobs:read` do not read that. */
function labelFor(
  { queue, label, createdBy }: Pick<JobLine, "queue" | "label" | "createdBy">,
  caller: PermissionHolder,
): string | null {
  const isOthers = queue === "timers" && createdBy !== null && !mayReadWords(caller, createdBy);
  return label !== null && isOthers ? MASK : label;
}

/** Whether a text is in the label, kind, error or payload as the caller sees them, ignoring case. */
export function showsText(job: JobLine, q: string, caller: PermissionHolder): boolean {
  const holds = textTest(q);
  const label = labelFor(job, caller);
  if (holds(job.kind) || (label !== null && holds(label))) return true;
  if (job.lastError !== null && holds(redactText(job.lastError))) return true;
  const payload = masked(job.payload);
  const seen = JSON.stringify(mayReadWords(caller, job.createdBy) ? payload : withoutWords(payload));
  return holds(seen) || textTest(JSON.stringify(q).slice(1, -1))(seen);
}

/** As `like` in SQLite, which ignores the case of ASCII letters only. */
function textTest(q: string): (text: string) => boolean {
  const lower = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  const wanted = lower(q);
  return (text) => lower(text).includes(wanted);
}

/** @param failed the failed attempts; the successful or running one is part of the job. */
export function jobDetail(job: JobLine, failed: readonly AttemptLine[], caller: PermissionHolder) {
  const attempts = failed.map((attempt) => ({
    ...attempt,
    error: attempt.error === null ? null : redactText(attempt.error),
    startedAt: toRfc3339(attempt.startedAt),
    endedAt: toRfc3339OrNull(attempt.endedAt),
  }));
  return { ...jobView(job, caller), history: [...attempts, ...lastAttempt(job, failed.at(-1)?.attempt ?? 0)] };
}

function lastAttempt({ state: outcome, startedAt, finishedAt, workerId }: JobLine, before: number) {
  if ((outcome !== "running" && outcome !== "succeeded") || startedAt === null) return [];
  const times = { startedAt: toRfc3339(startedAt), endedAt: toRfc3339OrNull(finishedAt) };
  return [{ attempt: before + 1, ...times, outcome, error: null, worker: workerId ?? "" }];
}

/** @param json as stored. */
function masked(json: string | null): unknown {
  if (json === null) return null;
  const { value } = redactFields({ value: JSON.parse(json) as unknown });
  return JSON.parse(redactText(JSON.stringify(value)));
}

export type QueueParts = Context<"runner" | "channels">;

/**
 * The built-in queues, those of loaded modules and of remote workers, and all others that are
 * paused or have unfinished or dead jobs.
 */
export async function queueViews(parts: QueueParts) {
  const { db, runner, channels } = parts;
  const counts = await countJobs(db.scan);
  const forWorkers = WORKER_CHANNELS.filter((channel) => channels.isForWorkers(channel));
  const names = new Set<QueueName>([
    ...QUEUES,
    ...runner.queueNames,
    ...forWorkers.map((channel) => channels.queueOf(channel)),
    ...counts.map(({ queue }) => queue as QueueName).toSorted(),
  ]);
  return [...names].map((name) => viewOf(parts, name, counts));
}

/** @param ref a queue's name, with or without the suffix `-queue`. @throws QUEUE_NOT_FOUND */
export async function queueView(parts: QueueParts, ref: string) {
  const name = parseQueueName(ref);
  const view = (await queueViews(parts)).find((queue) => queue.name === name);
  if (!view) throw new PrismError("QUEUE_NOT_FOUND", "No such queue");
  return view;
}

/** A queue as an operator sees it. */
function viewOf({ clock, runner, settings }: QueueParts, name: QueueName, counts: readonly JobCount[]) {
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
    /** Waiting time of the oldest ready job; null for none. */
    oldestReadyAgeMs: oldest === undefined ? null : Math.max(0, clock.now() - oldest),
    concurrency,
    maxAttempts,
  };
}
