import { toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Context } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { updateLater } from "../../../store/statements.ts";
import { COMPLETED, LostLease, type MovedJob, PermanentError, type RunningJob } from "../../time/jobs/index.ts";
import type { MessageStep, TrackedMessage } from "./queries.ts";
import * as queries from "./queries.ts";
import type { MessageRow, MessageStatus } from "./schema.ts";

export type MessagesContext = Context<"runner" | "jobControl" | "jobs" | "users" | "realtime">;

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
  { before = [], at = context.clock.now(), ...changes }: Move = {},
): Promise<M> {
  const steps = [...readSteps(message.history), ...before, { status, at }].slice(-MAX_STEPS);
  const values = { ...changes, status, history: JSON.stringify(steps), updatedAt: at };
  updateLater(trx, "messages", message.id, values);
  const moved = { ...message, ...values };
  await publishStatus(context, trx, moved);
  return moved;
}

/** Publishes `message:status` in the streams of those who may see it. */
export async function publishStatus({ realtime }: MessagesContext, trx: Trx, message: MessageRow): Promise<void> {
  const { id, status, senderId, deliveredAt, updatedAt } = message;
  const audience = deliveredAt === null ? [senderId] : sidesOf(message);
  const data = { id, status, at: toRfc3339(updatedAt) };
  const entryOf = (userId: string) => ({ to: { kind: "messages", userId }, type: "message:status", data }) as const;
  await realtime.publishAll(audience.map(entryOf), { trx });
}

export const MESSAGE_JOB = "message.deliver";

/** The payload of a message's job, without its content. */
export interface MessageJob {
  readonly messageId: string;
}

/** Sent to the sender instead of an internal error; the job stores the error itself. */
const INTERNAL = "the delivery failed";

/** Registers the handlers: they deliver messages, and follow jobs that operators change. */
export function handleDeliveries(context: MessagesContext): void {
  const { runner, jobControl } = context;
  runner.handle(MESSAGE_JOB, (job) => attempt(context, job), { notesBegin: true });
  jobControl.whenEnded(MESSAGE_JOB, (trx, moved) => follow(context, trx, moved));
}

/**
 * An attempt is two transactions. The first records the start. The second delivers the message,
 * notifies both sides and completes the job, or records the failure and schedules the next attempt.
 */
async function attempt(context: MessagesContext, job: RunningJob): Promise<typeof COMPLETED> {
  const { db } = context;
  await db.write((trx) => claim(context, trx, job), { sharesCommit: true });
  try {
    await db.write((trx) => end(context, trx, job), { sharesCommit: true });
  } catch (error) {
    if (error instanceof LostLease) throw error;
    await db.write((trx) => fail(context, trx, job, { error, shown: INTERNAL }));
  }
  return COMPLETED;
}

async function claim(context: MessagesContext, trx: Trx, job: RunningJob): Promise<void> {
  const message = await messageOf(trx, job);
  if (message.deliveredAt !== null || message.status === "cancelled")
    throw new PermanentError(`the message is ${message.status}`);
  const before = message.status === "scheduled" ? [queuedStep(message)] : [];
  await moveTo(context, trx, message, "delivering", { attempts: message.attempts + 1, before });
}

/** Delivery, notification and completion share a transaction: exactly once. */
async function end(context: MessagesContext, trx: Trx, job: RunningJob): Promise<void> {
  const { realtime, jobs, clock } = context;
  const found = await queries.findWithSides(trx, idOf(job));
  const message = requireMessage(found.message);
  const obstacle = obstacleOf(message, found.activeIds);
  if (obstacle) {
    await fail(context, trx, job, { error: obstacle, shown: obstacle.message });
    return;
  }
  const at = clock.now();
  const changes = { deliveredAt: at, lastError: null };
  const data = { id: message.id };
  const entryOf = (userId: string) =>
    ({ to: { kind: "messages", userId }, type: "message", data, isAbridged: true }) as const;
  await realtime.publishAll(sidesOf(message).map(entryOf), { trx });
  await moveTo(context, trx, message, "delivered", { ...changes, at });
  await jobs.complete(job, trx);
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

async function fail(
  context: MessagesContext,
  trx: Trx,
  job: RunningJob,
  { error, shown }: { error: unknown; shown: string },
): Promise<void> {
  const { jobs, log } = context;
  const message = await messageOf(trx, job);
  const { outcome, queue } = await jobs.fail(job, trx, error);
  await moveTo(context, trx, message, outcome, { lastError: shown });
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

async function messageOf(trx: Trx, job: RunningJob): Promise<queries.TrackedMessage> {
  return requireMessage(await queries.findMessage(trx, idOf(job)));
}

function idOf({ payload }: RunningJob): string {
  return (payload as MessageJob).messageId;
}

function requireMessage(message: queries.TrackedMessage | undefined): queries.TrackedMessage {
  if (!message) throw new PermanentError("the message is gone");
  return message;
}
