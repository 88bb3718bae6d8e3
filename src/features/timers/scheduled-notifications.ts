import { currentCaller, runAs } from "../../core/caller.ts";
import type { EpochMs } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { Principal } from "../../core/principal.ts";
import { requireAccess } from "../../http/access.ts";
import type { Database, InTransaction } from "../../store/database.ts";
import type { Principals, UserDirectory } from "../access/index.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import { COMPLETED, PermanentError, type RunningJob } from "../jobs/index.ts";
import type { NotifyInput, ScheduledNotification } from "../notifications/index.ts";
import { creatorIdOf, creatorOf, type TimerSettings, timerPriority } from "./timer-action.ts";

/** Of the jobs that send a notification. */
export const SCHEDULED_KIND = "notification";

/** The payload of a scheduled notification's job, with its recipients found. */
export interface ScheduledPayload {
  readonly notification: NotifyInput;
}

export interface ScheduledContext {
  readonly database: Database;
  readonly jobs: JobService;
  readonly runner: JobRunner;
  readonly principals: Principals;
  readonly directory: UserDirectory;
  limits(): TimerSettings;
  send(input: NotifyInput, options: InTransaction): Promise<{ id: string }>;
}

/** From now on jobs of scheduled notifications send them. Who may send, and to whom, is checked when one is made and again when it is sent. */
export function handleScheduledNotifications(context: ScheduledContext): void {
  const send = async (job: RunningJob): Promise<unknown> => {
    const { notification } = job.payload as ScheduledPayload;
    const principal = senderWhoMay(job.createdBy, context.principals);
    const caller = { principal, ip: null, requestId: null, correlationId: job.correlationId };
    await runAs({ ...caller, process: "job" }, () => sendScheduled(context, job, notification));
    return COMPLETED;
  };
  context.runner.handle(SCHEDULED_KIND, send, { notesBegin: true });
}

/** A time that is past is now. @returns the job, or the waiting one of this sender that holds the dedupe key. @throws RECIPIENT_NOT_FOUND */
export async function scheduleNotification(
  { database, directory, jobs, limits }: Pick<ScheduledContext, "database" | "directory" | "jobs" | "limits">,
  input: NotifyInput,
  runAt: EpochMs,
  { trx }: InTransaction = {},
): Promise<ScheduledNotification> {
  const { principal, correlationId, module = null } = currentCaller();
  return database.writeIn({ trx }, async (inner) => {
    const recipients = await directory.recipients(input.recipients, inner, input.projectId ?? null);
    const notification: NotifyInput = { ...input, recipients };
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
        priority: await timerPriority(inner, limited, limits()),
        createdBy,
        module,
        correlationId: correlationId ?? uuidv7(),
      },
      { trx: inner },
    );
    return { jobId: job.jobId, runAt: job.runAt, state: job.state };
  });
}

/** Notification and completion are one transaction: exactly once. */
async function sendScheduled(
  { database, directory, jobs, send }: ScheduledContext,
  job: RunningJob,
  notification: NotifyInput,
): Promise<void> {
  const recipients = stillReachable(directory, notification.recipients, notification.projectId ?? null);
  await database.write(
    async (trx) => {
      const { id: scheduledJobId, correlationId } = job;
      const { id } = await send({ ...notification, recipients, scheduledJobId, correlationId }, { trx });
      await jobs.complete(job, trx, { notificationId: id });
    },
    { sharesCommit: true },
  );
}

/** The sender must still have the right. @throws PermanentError FORBIDDEN */
function senderWhoMay(createdBy: string | null, principals: Principals): Principal | null {
  try {
    const sender = creatorOf(createdBy, principals);
    if (sender) requireAccess({ permission: "notifications:send", keyScope: "notifications:send" }, sender);
    return sender;
  } catch (error) {
    if (error instanceof PrismError)
      throw new PermanentError("FORBIDDEN: whoever scheduled this may not send it any more", { cause: error });
    throw error;
  }
}

/**
 * Those of the recipients at the time of making who can still be reached: the others have left since.
 * @throws PermanentError RECIPIENT_NOT_FOUND when none is left
 */
export function stillReachable(
  directory: UserDirectory,
  userIds: readonly string[],
  projectId: string | null,
): readonly string[] {
  const left = directory.reachable(userIds, projectId);
  if (left.length === 0)
    throw new PermanentError("RECIPIENT_NOT_FOUND: nobody whom this was meant for can be told any more");
  return left;
}
