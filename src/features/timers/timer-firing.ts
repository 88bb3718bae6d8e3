import type { Bus } from "../../core/bus.ts";
import { runAs } from "../../core/caller.ts";
import type { Clock } from "../../core/clock.ts";
import { assertNever, PrismError } from "../../core/errors.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import type { Database } from "../../store/database.ts";
import type { Principals, UserDirectory } from "../access/index.ts";
import type { IngestService } from "../events/index.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import { COMPLETED, finishOf, PermanentError, type RunningJob } from "../jobs/index.ts";
import type { Notifier } from "../notifications/index.ts";
import { readBusNotify } from "../notifications/index.ts";
import type { RealtimeService } from "../streams/index.ts";
import { stillReachable } from "./scheduled-notifications.ts";
import {
  asObject,
  type EventAction,
  isBusNotify,
  type MessageAction,
  type NotifyAction,
  requireTimerRights,
  type TimerAction,
} from "./timer-action.ts";

export interface FiringContext {
  readonly database: Database;
  readonly jobs: JobService;
  readonly runner: JobRunner;
  readonly principals: Principals;
  readonly directory: UserDirectory;
  readonly notifier: Notifier;
  readonly realtime: RealtimeService;
  readonly ingest: IngestService;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly defaultProjectId: string;
}

const PERMANENT: ReadonlySet<string> = new Set(["VALIDATION_FAILED", "RECIPIENT_NOT_FOUND"]);

/** The payload of a timer's job. */
export interface TimerPayload {
  readonly action: TimerAction;
}

/**
 * Does what a timer was made for. What leaves rows (a notification, an event that persists, an entry of a channel) is committed with the
 * completion of the job: exactly once. The bus follows, at most once.
 */
export async function fireTimer(context: FiringContext, job: RunningJob): Promise<unknown> {
  const { action } = job.payload as TimerPayload;
  const principal = job.createdBy === null ? null : creatorWhoMay(context, job.createdBy, action);
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
function creatorWhoMay({ principals, directory }: FiringContext, userId: string, action: TimerAction): UserPrincipal {
  try {
    const creator = principals.ofUser(userId);
    requireTimerRights(creator, action, directory);
    return creator;
  } catch (error) {
    if (error instanceof PrismError)
      throw new PermanentError("FORBIDDEN: the timer's creator may not do this any more", { cause: error });
    throw error;
  }
}

async function notify(context: FiringContext, job: RunningJob, { payload }: NotifyAction): Promise<unknown> {
  const { database, directory, notifier, jobs } = context;
  const recipients = stillReachable(directory, payload.recipients, null);
  await database.write(
    async (trx) => {
      const { id: scheduledJobId, correlationId } = job;
      const input = { ...payload, recipients, kind: "timer", scheduledJobId, correlationId } as const;
      const { id } = await notifier.send(input, { trx });
      await jobs.complete(job, trx, { notificationId: id });
    },
    { sharesCommit: true },
  );
  return COMPLETED;
}

async function emit(context: FiringContext, job: RunningJob, action: EventAction): Promise<unknown> {
  const { ingest, bus, notifier, runner, clock, defaultProjectId } = context;
  const { event, payload, persist } = action;
  const isNotify = isBusNotify(action);
  if (isNotify) await sendBusNotify(context, job, action);
  if (persist) {
    const end = { outcome: "succeeded", result: null } as const;
    // The id is the job's, so a second run after a crash between commit and answer finds the event there.
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
  // Handlers of modules run now; a stored event's job has ended before.
  if (!persist) job.begun();
  const delivered = await bus.deliver(event, payload, job.correlationId, isNotify ? notifier.onBus : undefined);
  return persist || isNotify ? COMPLETED : delivered;
}

/**
 * Sends what the event `notify` asks for, with the end of the job; an event that persists ends the job itself.
 * @throws PermanentError with the code of what is wrong: no other attempt would help
 */
async function sendBusNotify(
  { database, notifier, jobs }: FiringContext,
  job: RunningJob,
  { payload, persist }: EventAction,
): Promise<void> {
  const { id: scheduledJobId, correlationId } = job;
  try {
    await database.write(async (trx) => {
      // A second run after a crash finds the notification by its key.
      const input = { ...readBusNotify(payload), scheduledJobId, correlationId, dedupeKey: `timer ${job.id}` };
      const { id } = await notifier.send(input, { trx });
      if (!persist) await jobs.complete(job, trx, { notificationId: id });
    });
  } catch (error) {
    if (error instanceof PrismError && PERMANENT.has(error.code))
      throw new PermanentError(`${error.code}: ${error.message}`, { cause: error });
    throw error;
  }
}

async function publish(
  { database, realtime, jobs, bus }: FiringContext,
  job: RunningJob,
  { channel, payload }: MessageAction,
): Promise<unknown> {
  await database.write(
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
