import { currentCaller, runAs } from "../../../core/caller.ts";
import { assertNever, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { requireAccess } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import type { InTransaction, Trx } from "../../../store/database.ts";
import type { UserDirectory } from "../../access/index.ts";
import { type NotificationInput, readBusNotify, type ScheduledNotification } from "../../notifications/index.ts";
import { COMPLETED, finishOf, PermanentError, type RunningJob } from "../jobs/index.ts";
import {
  asObject,
  creatorIdOf,
  creatorOf,
  type EventAction,
  isBusNotify,
  type MessageAction,
  type NotifyAction,
  requireTimerRights,
  type StoredAction,
  timerPriority,
} from "./timer-action.ts";

/** Kind of the jobs that send a notification. */
export const SCHEDULED_KIND = "notification";

/** Payload of a scheduled notification's job, with resolved recipients. */
export interface ScheduledPayload {
  readonly notification: NotificationInput;
}

type ScheduledContext = Uses<"db" | "jobs" | "runner" | "principals" | "users" | "settings" | "notify">;

/** Handles scheduled notifications. Permissions are checked at creation and at sending. */
export function handleScheduledNotifications(context: ScheduledContext): void {
  const send = async (job: RunningJob): Promise<unknown> => {
    const { notification } = job.payload as ScheduledPayload;
    // The sender must still have the permission.
    const principal = whoMay("the user who scheduled this may no longer send it", () => {
      const sender = creatorOf(job.createdBy, context.principals);
      if (sender) requireAccess({ permission: "notifications:send", keyScope: "notifications:send" }, sender);
      return sender;
    });
    const caller = { principal, ip: null, requestId: null, correlationId: job.correlationId };
    return runAs({ ...caller, process: "job" }, () =>
      sendOnce(context, job, notification, (sent, trx) => context.notify.send({ ...notification, ...sent }, { trx })),
    );
  };
  context.runner.handle(SCHEDULED_KIND, send, { notesBegin: true });
}

/**
 * Past instants mean now. @returns the job, or this sender's waiting one with the dedupe key.
 * @throws RECIPIENT_NOT_FOUND
 */
export async function scheduleNotification(
  { db, users, jobs, settings }: Pick<ScheduledContext, "db" | "users" | "jobs" | "settings">,
  input: NotificationInput,
  runAt: EpochMs,
  { trx }: InTransaction = {},
): Promise<ScheduledNotification> {
  const { principal, correlationId, module = null } = currentCaller();
  return db.writeIn({ trx }, async (inner) => {
    const recipients = await users.recipients(input.recipients, inner, input.projectId ?? null);
    const notification: NotificationInput = { ...input, recipients };
    const sender = principal?.key ?? "system";
    const dedupeKey = input.dedupeKey === undefined ? null : `notification ${sender} ${input.dedupeKey}`;
    const createdBy = creatorIdOf(principal);
    const limited = { createdBy: module === null ? createdBy : null, dedupeKey };
    const job = await jobs.enqueue(
      {
        queue: "timers",
        kind: SCHEDULED_KIND,
        payload: { notification } satisfies ScheduledPayload,
        runAt,
        dedupeKey,
        priority: await timerPriority(inner, limited, settings.limits),
        createdBy,
        module,
        correlationId: correlationId ?? uuidv7(),
      },
      { trx: inner },
    );
    return { jobId: job.jobId, runAt: job.runAt, state: job.state };
  });
}

/** Notification and completion share a transaction: exactly once. */
async function sendOnce(
  { db, jobs, users }: Pick<ScheduledContext, "db" | "jobs" | "users">,
  job: RunningJob,
  to: Pick<NotificationInput, "recipients" | "projectId">,
  send: (sent: SentByJob, trx: Trx) => Promise<{ id: string }>,
): Promise<unknown> {
  const recipients = stillReachable(users, to.recipients, to.projectId ?? null);
  await db.write(
    async (trx) => {
      const { id: scheduledJobId, correlationId } = job;
      const { id } = await send({ recipients, scheduledJobId, correlationId }, trx);
      await jobs.complete(job, trx, { notificationId: id });
    },
    { sharesCommit: true },
  );
  return COMPLETED;
}

type SentByJob = Pick<NotificationInput, "recipients"> &
  Required<Pick<NotificationInput, "scheduledJobId" | "correlationId">>;

/**
 * A missing right of the creator fails the job permanently. @param message describes the action.
 * @throws PermanentError FORBIDDEN
 */
function whoMay<P>(message: string, check: () => P): P {
  try {
    return check();
  } catch (error) {
    if (error instanceof PrismError) throw new PermanentError(`FORBIDDEN: ${message}`, { cause: error });
    throw error;
  }
}

/**
 * The recipients who can still be reached; others have left since.
 * @throws PermanentError RECIPIENT_NOT_FOUND if none is left
 */
function stillReachable(users: UserDirectory, userIds: readonly string[], projectId: string | null): readonly string[] {
  const left = users.reachable(userIds, projectId);
  if (left.length === 0) throw new PermanentError("RECIPIENT_NOT_FOUND: no recipient can be reached any more");
  return left;
}

export type TimerFiringContext = Uses<
  | "db"
  | "jobs"
  | "runner"
  | "principals"
  | "users"
  | "notify"
  | "realtime"
  | "ingest"
  | "bus"
  | "clock"
  | "defaultProjectId"
>;

const PERMANENT: ReadonlySet<string> = new Set(["VALIDATION_FAILED", "RECIPIENT_NOT_FOUND"]);

/** Payload of a timer's job. */
export interface TimerPayload {
  readonly action: StoredAction;
}

/**
 * Runs a timer's action. Stored results (a notification, a stored event, a channel entry) are
 * committed with the completion of the job: exactly once. The bus follows, at most once.
 */
export async function fireTimer(context: TimerFiringContext, job: RunningJob): Promise<unknown> {
  const { action } = job.payload as TimerPayload;
  const principal = creatorWhoMay(context, job.createdBy, action);
  const caller = { principal, ip: null, requestId: null, correlationId: job.correlationId };
  return runAs({ ...caller, process: "job" }, () => {
    switch (action.type) {
      case "notify":
        return notify(context, job, action);
      case "event":
        return emit(context, job, action);
      case "message":
        return publish(context, job, action);
      default:
        return assertNever(action);
    }
  });
}

/** The creator must still have the rights. @throws PermanentError FORBIDDEN */
function creatorWhoMay({ principals, users }: TimerFiringContext, userId: string | null, action: StoredAction) {
  if (userId === null) return null;
  return whoMay("the timer's creator may not do this any more", () => {
    const creator = principals.ofUser(userId);
    requireTimerRights(creator, action, users);
    return creator;
  });
}

function notify(context: TimerFiringContext, job: RunningJob, { payload }: NotifyAction): Promise<unknown> {
  return sendOnce(context, job, payload, (sent, trx) =>
    context.notify.send({ ...payload, ...sent, kind: "timer" }, { trx }),
  );
}

async function emit(context: TimerFiringContext, job: RunningJob, action: EventAction): Promise<unknown> {
  const { ingest, bus, notify, runner, clock, defaultProjectId } = context;
  const { event, payload, persist } = action;
  const isNotify = isBusNotify(action);
  if (isNotify) await sendBusNotify(context, job, action);
  if (persist) {
    const end = { outcome: "succeeded", result: null } as const;
    // The id is the job's, so a second run after a crash finds the event.
    await ingest.ingest(
      {
        id: job.id,
        type: event,
        payload: asObject(payload),
        source: "timer",
        projectId: defaultProjectId,
        correlationId: job.correlationId,
      },
      finishOf(job.claimed, runner.workerId, clock.now(), end),
    );
  }
  // Handlers of modules run now; the job of a stored event has already ended.
  if (!persist) await job.begun();
  const delivered = await bus.deliver(event, payload, job.correlationId, isNotify ? notify.onBus : undefined);
  return persist || isNotify ? COMPLETED : delivered;
}

/**
 * Sends the notification of the event `notify` and ends the job; a stored event ends the job
 * itself.
 * @throws PermanentError with the code of the problem, because a retry cannot help
 */
async function sendBusNotify(
  { db, notify, jobs }: TimerFiringContext,
  job: RunningJob,
  { payload, persist }: EventAction,
): Promise<void> {
  const { id: scheduledJobId, correlationId } = job;
  try {
    await db.write(async (trx) => {
      // A second run after a crash finds the notification by its key.
      const input = { ...readBusNotify(payload), scheduledJobId, correlationId, dedupeKey: `timer ${job.id}` };
      const { id } = await notify.send(input, { trx });
      if (!persist) await jobs.complete(job, trx, { notificationId: id });
    });
  } catch (error) {
    if (error instanceof PrismError && PERMANENT.has(error.code))
      throw new PermanentError(`${error.code}: ${error.message}`, { cause: error });
    throw error;
  }
}

async function publish(
  { db, realtime, jobs, bus }: TimerFiringContext,
  job: RunningJob,
  { channel, payload }: MessageAction,
): Promise<unknown> {
  await db.write(
    async (trx) => {
      const stream = { kind: "channel", projectId: null, name: channel } as const;
      const { offset } = await realtime.publish(stream, "message", payload, { trx });
      await jobs.complete(job, trx, { offset });
    },
    { sharesCommit: true },
  );
  await bus.deliver(`msg:${channel}`, payload, job.correlationId);
  return COMPLETED;
}
