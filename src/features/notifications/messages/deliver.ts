import { PrismError } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import type { Context } from "../../../module/feature.ts";
import { type Trx, updateLater, WriteQueue } from "../../../store/database.ts";
import { COMPLETED, LostLease, type MovedJob, PermanentError, type RunningJob } from "../../time/jobs/index.ts";
import type { MessageStep, TrackedMessage } from "./queries.ts";
import * as queries from "./queries.ts";
import type { MessageRow, MessageStatus } from "./schema.ts";

export type MessagesContext = Context<"runner" | "jobControl" | "jobs" | "users" | "realtime">;

type NewEntry = Parameters<MessagesContext["realtime"]["publishAll"]>[0][number];

/** Limit of stored steps: an operator may retry a dead message any number of times. */
const MAX_STEPS = 200;

type Changes = Partial<Pick<MessageRow, "attempts" | "lastError" | "deliveredAt" | "readAt" | "cancelledAt">>;

function readSteps(text: string): MessageStep[] {
  return JSON.parse(text) as MessageStep[];
}

/** The stored steps, and those known from the job only. */
export function stepsOf(message: TrackedMessage): MessageStep[] {
  const { status, shownStatus, jobStartedAt, updatedAt } = message;
  const steps = readSteps(message.history);
  if (shownStatus === status) return steps;
  if (shownStatus === "queued") return [...steps, queuedStep(message)];
  const at = shownStatus === "delivering" ? (jobStartedAt ?? updatedAt) : updatedAt;
  const waited = status === "scheduled" && shownStatus === "delivering" ? [queuedStep(message)] : [];
  return [...steps, ...waited, { status: shownStatus, at }];
}

/** The delay is over and the message waits for a worker. Not stored, because the job shows it. */
function queuedStep({ jobRunAt, createdAt }: Pick<TrackedMessage, "jobRunAt" | "createdAt">): MessageStep {
  return { status: "queued", at: Math.max(createdAt, jobRunAt ?? createdAt) };
}

/** Sender and recipient, deduplicated. */
function sidesOf({ senderId, recipientId }: Pick<MessageRow, "senderId" | "recipientId">): string[] {
  return [...new Set([senderId, recipientId])];
}

interface Move extends Changes {
  /** Earlier steps that were not stored when they happened. */
  readonly before?: readonly MessageStep[];
  /** Default: now. */
  readonly at?: number;
}

/**
 * Stores a message's new status and its step, and notifies those who may see it: both sides once it
 * is delivered, before that the sender. @returns the updated message.
 */
export async function moveTo<M extends MessageRow>(
  context: MessagesContext,
  trx: Trx,
  message: M,
  status: MessageStatus,
  move: Move = {},
): Promise<M> {
  const moved = movedTo(message, status, { at: context.clock.now(), ...move });
  storeMoved(trx, moved);
  await context.realtime.publishAll(statusEntries(moved), { trx });
  return moved;
}

/** The message with its next status, not stored yet. */
function movedTo<M extends MessageRow>(
  message: M,
  status: MessageStatus,
  { before = [], at, ...changes }: Move & { readonly at: number },
): M {
  const steps = [...readSteps(message.history), ...before, { status, at }].slice(-MAX_STEPS);
  return { ...message, ...changes, status, history: JSON.stringify(steps), updatedAt: at };
}

function storeMoved(trx: Trx, message: MessageRow): void {
  const { id, status, history, attempts, lastError, deliveredAt, readAt, cancelledAt, updatedAt } = message;
  const values = { status, history, attempts, lastError, deliveredAt, readAt, cancelledAt, updatedAt };
  updateLater(trx, "messages", id, values);
}

/** `message:status` in the streams of those who may see it. */
export function statusEntries(message: MessageRow): NewEntry[] {
  const { id, status, senderId, deliveredAt, updatedAt } = message;
  const audience = deliveredAt === null ? [senderId] : sidesOf(message);
  const data = { id, status, at: toRfc3339(updatedAt) };
  return audience.map((userId) => ({ to: { kind: "messages", userId }, type: "message:status", data }));
}

export const MESSAGE_JOB = "message.deliver";

/** The payload of a message's job, without its content. */
export interface MessageJob {
  readonly messageId: string;
}

/** Sent to the sender instead of an internal error; the job stores the error itself. */
const INTERNAL = "the delivery failed";

/** Deliveries of one transaction. */
const DELIVERED_AT_ONCE = 64;

type Deliveries = WriteQueue<RunningJob, undefined>;

/** Registers the handlers: they deliver messages, and follow jobs that operators change. */
export function handleDeliveries(context: MessagesContext): void {
  const { db, runner, jobControl } = context;
  const deliveries: Deliveries = new WriteQueue({
    db,
    options: { sharesCommit: true },
    most: DELIVERED_AT_ONCE,
    store: (trx, jobs) => deliverAll(context, trx, jobs),
  });
  runner.handle(MESSAGE_JOB, (job) => attempt(context, deliveries, job), { notesBegin: true });
  jobControl.whenEnded(MESSAGE_JOB, (trx, moved) => follow(context, trx, moved));
}

/** An attempt is one transaction, which it shares with those that run at the same time. */
async function attempt(context: MessagesContext, deliveries: Deliveries, job: RunningJob): Promise<typeof COMPLETED> {
  try {
    await deliveries.add(job);
  } catch (error) {
    if (error instanceof LostLease || error instanceof PermanentError || error instanceof PrismError) throw error;
    await context.db.write(async (trx) => {
      const message = delivering(context, requireMessage(await queries.findMessage(trx, idOf(job))));
      await fail(context, trx, job, message, { error, shown: INTERNAL });
    });
  }
  return COMPLETED;
}

/** Delivery, notification and completion of several messages share a transaction: each exactly once. */
async function deliverAll(context: MessagesContext, trx: Trx, attempts: readonly RunningJob[]): Promise<undefined[]> {
  const { realtime, jobs, clock } = context;
  const { messages, activeIds } = await queries.findWithSides(trx, attempts.map(idOf));
  const delivered: RunningJob[] = [];
  const entries: NewEntry[] = [];
  for (const job of attempts) {
    const found = requireMessage(messages.get(idOf(job)));
    if (found.jobState !== "running" || found.jobFence !== job.claimed.fence) throw new LostLease();
    const message = delivering(context, found);
    const obstacle = obstacleOf(message, activeIds);
    if (obstacle) {
      await fail(context, trx, job, message, { error: obstacle, shown: obstacle.message });
      continue;
    }
    const at = clock.now();
    const moved = movedTo(message, "delivered", { deliveredAt: at, lastError: null, at });
    storeMoved(trx, moved);
    const { correlationId } = job;
    const all = [...statusEntries(message), ...contentEntries(message), ...statusEntries(moved)];
    entries.push(...all.map((entry) => ({ ...entry, correlationId })));
    delivered.push(job);
  }
  await realtime.publishAll(entries, { trx });
  jobs.completeHeld(delivered, trx);
  return attempts.map(() => undefined);
}

/** The message as it is during its attempt. @throws PermanentError when it is not to be delivered */
function delivering(context: MessagesContext, message: queries.TrackedMessage): queries.TrackedMessage {
  if (message.deliveredAt !== null || message.status === "cancelled")
    throw new PermanentError(`the message is ${message.status}`);
  const before = message.status === "scheduled" ? [queuedStep(message)] : [];
  const at = context.clock.now();
  return movedTo(message, "delivering", { attempts: message.attempts + 1, before, at });
}

function contentEntries(message: MessageRow): NewEntry[] {
  const data = { id: message.id };
  return sidesOf(message).map((userId) => ({
    to: { kind: "messages", userId },
    type: "message",
    data,
    isAbridged: true,
  }));
}

/** Why the message cannot reach its recipient now; null if it can. */
function obstacleOf(
  { senderId, recipientId }: Pick<queries.TrackedMessage, "senderId" | "recipientId">,
  activeIds: ReadonlySet<string>,
): Error | null {
  // As with timers: a disabled sender sends nothing.
  if (!activeIds.has(senderId)) return new PermanentError("the sender's account is not active");
  return activeIds.has(recipientId) ? null : new Error("the recipient's account is not active");
}

/** @param message its attempt has begun, which is not stored yet */
async function fail(
  context: MessagesContext,
  trx: Trx,
  job: RunningJob,
  message: queries.TrackedMessage,
  { error, shown }: { error: unknown; shown: string },
): Promise<void> {
  const { realtime, jobs, log, clock } = context;
  const { outcome, queue } = await jobs.fail(job, trx, error);
  const moved = movedTo(message, outcome, { lastError: shown, at: clock.now() });
  storeMoved(trx, moved);
  const { correlationId } = job;
  const entries = [...statusEntries(message), ...statusEntries(moved)];
  await realtime.publishAll(
    entries.map((entry) => ({ ...entry, correlationId })),
    { trx },
  );
  log
    .namespace("messages")
    .warn({ messageId: message.id, jobId: job.id, outcome, queue, err: error }, "a message was not delivered");
}

/**
 * An operator changed the job, or a crash ended its attempt: updates the message. A cancelled one
 * is never delivered, even if its job is retried.
 */
async function follow(context: MessagesContext, trx: Trx, { jobId, state, error }: MovedJob): Promise<void> {
  const at = context.clock.now();
  const message = await queries.findByJob(trx, jobId);
  if (!message || message.deliveredAt !== null) return;
  if (message.status === "cancelled")
    throw new PrismError("INVALID_STATE", "The message was cancelled and will not be delivered");
  if (state === "cancelled") await moveTo(context, trx, message, "cancelled", { cancelledAt: at, at });
  else if (message.shownStatus !== message.status)
    await moveTo(context, trx, message, message.shownStatus, error === null ? {} : { lastError: error });
}

function idOf({ payload }: RunningJob): string {
  return (payload as MessageJob).messageId;
}

function requireMessage(message: queries.TrackedMessage | undefined): queries.TrackedMessage {
  if (!message) throw new PermanentError("the message is gone");
  return message;
}
