import type { Clock } from "../../core/clock.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { AuditTrail } from "../audit/index.ts";
import { COMPLETED, type JobRunner, type JobService, type RunningJob } from "../jobs/index.ts";
import type { Notifier } from "../notifications/index.ts";
import type { RuleBook } from "../rules/index.ts";
import { deliverJob } from "../rules/index.ts";
import type { Backlog } from "./pipeline/backlog.ts";

const RECIPIENTS_PER_TRANSACTION = 500;

interface RecipientsPayload {
  readonly notificationId: string;
  readonly targetUsers: string;
  readonly targetRoles: string;
  readonly projectId: string | null;
}

/** A job on one event: after a failure, or because somebody wants its rules asked again. */
export interface EventJobPayload {
  readonly eventSeq: number;
  /** Also where the event has been decided. */
  readonly again?: true;
}

export interface PipelineJobParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly audit: AuditTrail;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly backlog: Backlog;
  readonly rules: RuleBook;
  readonly senders: { leadOut(channels: string | null): boolean };
  readonly notify: Notifier;
}

/** The jobs that the pipeline leaves behind: poison events, and the recipients of rules that reach many. */
export function handlePipelineJobs(parts: PipelineJobParts): void {
  const { db, clock, audit, runner, jobs, backlog, rules, senders, notify } = parts;
  runner.handle("event.process", async (job) => {
    const { eventSeq, again } = job.payload as EventJobPayload;
    const event = await db.read
      .selectFrom("events")
      .select("processedAt")
      .where("seq", "=", eventSeq)
      .executeTakeFirst();
    // Deleted since, or decided by a run of this job that a crash cut short behind its commit.
    if (!event || (event.processedAt !== null && again !== true)) return;
    await backlog.decideAgain(eventSeq);
  });
  runner.handle("notification.recipients", (job, signal) => writeRecipients(job, signal));

  /** In slices of one transaction each, behind the recipients that are there: a second run goes on where the first was cut short. */
  async function writeRecipients(job: RunningJob, signal: AbortSignal): Promise<typeof COMPLETED> {
    const { notificationId, ...targets } = job.payload as RecipientsPayload;
    const notification = await db.read
      .selectFrom("notifications")
      .selectAll()
      .where("id", "=", notificationId)
      .executeTakeFirstOrThrow();
    const last = await db.read
      .selectFrom("notification_recipients")
      .select((e) => e.fn.max("userId").as("userId"))
      .where("notificationId", "=", notificationId)
      .executeTakeFirst();
    let after = last?.userId ?? "";
    let recipients = 0;
    for (;;) {
      signal.throwIfAborted();
      const userIds = rules.recipientPage(targets, after, RECIPIENTS_PER_TRANSACTION);
      if (userIds.length === 0) {
        await db.write(async (trx) => {
          await jobs.complete(job, trx, { recipients });
          await noteDelivered(notificationId, trx);
          if (senders.leadOut(notification.channels)) await jobs.enqueue(deliverJob(notification), { trx });
        });
        return COMPLETED;
      }
      await db.write((trx) => notify.addRecipients(notification, userIds, trx));
      recipients += userIds.length;
      after = userIds.at(-1) ?? after;
    }
  }

  /**
   * While the job wrote recipients, no mark could say that the notification has reached everybody. If it has by now, no mark will come that
   * could say so later.
   */
  async function noteDelivered(notificationId: string, trx: Trx): Promise<void> {
    const told = await trx
      .selectFrom("notification_recipients")
      .select((e) => [
        e.fn.countAll<number>().as("recipients"),
        e.fn.sum<number>("delivered").as("delivered"),
        e.fn.max("deliveredAt").as("deliveredAt"),
      ])
      .where("notificationId", "=", notificationId)
      .executeTakeFirst();
    if (!told || told.recipients === 0 || told.delivered !== told.recipients) return;
    await trx
      .updateTable("notifications")
      .set({ delivered: 1, deliveredAt: told.deliveredAt ?? clock.now() })
      .where("id", "=", notificationId)
      .execute();
    await audit.record(
      {
        action: "notification.delivered",
        resourceType: "notification",
        resourceId: notificationId,
        metadata: { channel: "in_app", recipients: told.recipients },
      },
      { trx },
    );
  }
}
