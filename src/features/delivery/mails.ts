import type { Clock, EpochMs } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { Logger } from "../../core/log.ts";
import { type SealedBox, UnsealError } from "../../core/sealed-box.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import { addEffect, type Database, type ReadDb, type Trx } from "../../store/database.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import { COMPLETED, PermanentError, type RunningJob } from "../jobs/index.ts";
import { limitsOf } from "./bulkheads.ts";
import type { MailSender } from "./channels/mail/mail-sender.ts";
import type { Mail } from "./channels/mail/mailer.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import type { Circuits } from "./circuits.ts";
import type { DeliveryMetrics } from "./delivery-metrics.ts";
import { sendWithin } from "./send-within.ts";
import { DeadTarget, ProviderDown } from "./sender.ts";
import type { TargetQueues } from "./target-queues.ts";

export const MAIL_JOB = "mail";
const QUEUE = "notification-delivery";
/** Someone waits for the link: before notifications of ordinary priority. */
const PRIORITY = 500;

/** A mail that belongs to no notification, such as one with a link of an account. */
export interface DirectMail extends Pick<Mail, "to" | "subject" | "text"> {
  /** When its link expires: it is not sent after that, and its text not kept. */
  readonly expiresAt: EpochMs;
}

export interface DirectMailContext {
  readonly database: Database;
  readonly jobs: JobService;
  readonly runner: JobRunner;
  readonly box: SealedBox;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: LiveSettings;
  readonly circuits: Circuits;
  readonly targets: TargetQueues;
  readonly results: DeliveryMetrics;
  readonly mail: MailSender;
}

/** What seals the content of a mail. */
export function mailPlace(id: string): string {
  return `sealed_mails.content.${id}`;
}

/**
 * Has a mail sent by a job that is part of the transaction. The content is sealed in a row of its own: jobs are shown to operators, and it may hold
 * a secret. @throws OVERLOADED
 */
export async function enqueueMail(
  { box, jobs, clock }: Pick<DirectMailContext, "box" | "jobs" | "clock">,
  { expiresAt, ...mail }: DirectMail,
  trx: Trx,
): Promise<void> {
  const id = uuidv7();
  const content = box.seal(mailPlace(id), Buffer.from(JSON.stringify(mail)));
  await trx.insertInto("sealed_mails").values({ id, content, expiresAt }).execute();
  const job = { id, queue: QUEUE, kind: MAIL_JOB, payload: {}, runAt: clock.now(), priority: PRIORITY } as const;
  await jobs.enqueue(job, { trx });
}

export function handleMails(context: DirectMailContext): void {
  const { runner, database, jobs, clock, settings, targets } = context;
  const attempt = (job: RunningJob, signal: AbortSignal) =>
    targets.call({
      jobId: job.id,
      // Each mail is its own target: mails to several addresses need not wait for each other.
      target: `mail ${job.id}`,
      limits: limitsOf({ channel: "email" }, settings.queue(QUEUE).concurrency),
      run: () => sendMail(context, job, signal),
      defer: async (waitMs): Promise<typeof COMPLETED> => {
        await database.write((trx) => jobs.postpone(job, trx, clock.now() + waitMs));
        return COMPLETED;
      },
    });
  runner.handle(MAIL_JOB, attempt, { notesBegin: true });
}

/** Sends it once its provider can be asked. An error makes the job try again with backoff, as with any other job. */
async function sendMail(
  context: DirectMailContext,
  job: RunningJob,
  signal: AbortSignal,
): Promise<typeof COMPLETED | { skipped: string }> {
  const { database, jobs, clock, circuits, mail: sender } = context;
  const mail = await openMail(context, job.id);
  if (!mail) return { skipped: "expired" };
  const circuit = circuits.of(sender, "");
  const waitMs = circuit.waitMs();
  if (waitMs > 0) {
    await database.write((trx) => jobs.postpone(job, trx, clock.now() + waitMs));
    return COMPLETED;
  }
  job.begun();
  try {
    await sendWithin(() => sender.caller.call({ ...mail, id: job.id }), signal);
  } catch (error) {
    if (signal.aborted) throw error;
    return await failed(context, job, circuit, error);
  } finally {
    circuit.abandoned();
  }
  circuit.answered();
  await database.write(async (trx) => {
    await jobs.complete(job, trx);
    await trx.deleteFrom("sealed_mails").where("id", "=", job.id).execute();
    addEffect(trx, { type: "delivery-outcome", channel: "email", state: "delivered" });
  });
  return COMPLETED;
}

/** @throws what the runner is to make of it */
async function failed(
  { database, jobs, clock, results, log }: DirectMailContext,
  job: RunningJob,
  circuit: CircuitBreaker,
  error: unknown,
): Promise<typeof COMPLETED> {
  circuit.refused(error);
  log.warn({ jobId: job.id, attempt: job.attempt, err: error }, "a mail could not be sent");
  if (error instanceof ProviderDown) {
    await database.write((trx) => jobs.postpone(job, trx, clock.now() + circuit.waitMs()));
    return COMPLETED;
  }
  results.count("email", "failed");
  throw error instanceof DeadTarget ? new PermanentError(error.message, { cause: error }) : error;
}

/** @returns undefined when its link has expired. @throws PermanentError when no configured key opens it */
async function openMail(
  { database, box, clock }: Pick<DirectMailContext, "database" | "box" | "clock">,
  id: string,
): Promise<Mail | undefined> {
  const row = await findMail(database.read, id, clock.now());
  try {
    return row && (JSON.parse(box.open(mailPlace(id), row.content).toString()) as Mail);
  } catch (error) {
    throw error instanceof UnsealError ? new PermanentError(error.message, { cause: error }) : error;
  }
}

function findMail(db: ReadDb, id: string, now: EpochMs) {
  return db
    .selectFrom("sealed_mails")
    .select("content")
    .where("id", "=", id)
    .where("expiresAt", ">", now)
    .executeTakeFirst();
}
