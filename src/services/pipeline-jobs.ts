import type { RunningJob } from "../jobs/job.ts";
import type { CoreServices } from "./module.ts";

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

/** The jobs that the pipeline leaves behind: poison events, and the recipients of rules that reach many. */
export function handlePipelineJobs({ db, notify, system }: CoreServices): void {
  system.runner.handle("event.process", async (job) => {
    const { eventSeq, again } = job.payload as EventJobPayload;
    const event = await db.read
      .selectFrom("events")
      .select("processedAt")
      .where("seq", "=", eventSeq)
      .executeTakeFirst();
    // Deleted since, or decided by a run of this job that a crash cut short behind its commit.
    if (!event || (event.processedAt !== null && again !== true)) return;
    await system.backlog.decideAgain(eventSeq);
  });
  system.runner.handle("notification.recipients", (job, signal) => writeRecipients(job, signal));

  /** In slices of one transaction each, behind the recipients that are there: a second run goes on where the first was cut short. */
  async function writeRecipients(job: RunningJob, signal: AbortSignal): Promise<{ recipients: number }> {
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
      const userIds = system.rules.recipientPage(targets, after, RECIPIENTS_PER_TRANSACTION);
      if (userIds.length === 0) return { recipients };
      await db.write(async (trx) => {
        await notify.addRecipients(notification, userIds, trx);
        // Those of the slices before may all have been told: it has not reached everybody any more.
        await trx
          .updateTable("notifications")
          .set({ delivered: 0, deliveredAt: null })
          .where("id", "=", notificationId)
          .where("delivered", "=", 1)
          .execute();
      });
      recipients += userIds.length;
      after = userIds.at(-1) ?? after;
    }
  }
}
