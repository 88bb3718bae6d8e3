import { UnsealError } from "../../core/crypto/sealed-box.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { addEffect, type ReadDb, type Trx } from "../../store/database.ts";
import type { Mail } from "../channels/mail/client.ts";
import { mailHtml } from "../channels/mail/html.ts";
import { COMPLETED, PermanentError, type RunningJob } from "../time/jobs/index.ts";
import { callWithin, ProviderDown, TargetGone } from "./channel.ts";
import type { CircuitBreaker } from "./circuits.ts";
import type { DeliveryContext } from "./deliveries.ts";
import { limitsOf } from "./target-queues.ts";

export const MAIL_JOB = "mail";
const QUEUE = "notification-delivery";
/** A person is waiting for the link: sent before notifications of ordinary priority. */
const PRIORITY = 500;

/** A mail without a notification, such as one with a link for an account. */
export interface DirectMail extends Pick<Mail, "to" | "subject" | "text" | "headers" | "thread"> {
  /** Expiry of its link. After that it is not sent, and its text is deleted. */
  readonly expiresAt: EpochMs;
  /** The project that it is of: nothing is sent for a mirror. */
  readonly projectId?: string | null;
}

interface MailPayload {
  readonly projectId?: string;
}

/** Seal context of a mail's content. */
export function mailSealContext(id: string): string {
  return `sealed_mails.content.${id}`;
}

/**
 * Enqueues a mail as a job in the transaction. The content is sealed in a separate row, because
 * operators can see jobs and it may hold a secret. @throws OVERLOADED
 */
export async function enqueueMail(
  { box, jobs, clock }: Pick<DeliveryContext, "box" | "jobs" | "clock">,
  { expiresAt, projectId, ...mail }: DirectMail,
  trx: Trx,
): Promise<void> {
  const id = uuidv7();
  const content = box.seal(mailSealContext(id), Buffer.from(JSON.stringify(mail)));
  await trx.insertInto("sealed_mails").values({ id, content, expiresAt }).execute();
  const payload: MailPayload = projectId ? { projectId } : {};
  const job = { id, queue: QUEUE, kind: MAIL_JOB, payload, runAt: clock.now(), priority: PRIORITY } as const;
  await jobs.enqueue(job, { trx });
}

/** Sends the mail of a job, within the channel's share of workers. */
export function sendMail(
  context: DeliveryContext,
  job: RunningJob,
  signal: AbortSignal,
): Promise<typeof COMPLETED | { readonly skipped: string }> {
  const { clock, settings, queues } = context;
  return queues.call({
    jobId: job.id,
    // Each mail is its own target: mails to different addresses need not wait for each other.
    target: `mail ${job.id}`,
    limits: limitsOf({ channel: "email" }, settings.queue(QUEUE).concurrency),
    run: () => attemptMail(context, job, signal),
    defer: (waitMs) => postpone(context, job, clock.now() + waitMs),
  });
}

/** An error is retried with backoff, like that of any job. */
async function attemptMail(
  context: DeliveryContext,
  job: RunningJob,
  signal: AbortSignal,
): Promise<typeof COMPLETED | { readonly skipped: string }> {
  const { db, jobs, clock, channels, circuits, projects } = context;
  const { projectId = null } = job.payload as MailPayload;
  if (projects.isMirror(projectId)) return { skipped: "mirror" };
  const mail = await openMail(context, job.id);
  if (!mail) return { skipped: "expired" };
  const channel = channels.of("email");
  if (!channel) throw new TypeError("the channel email was not added");
  const circuit = circuits.of(channel, "");
  const waitMs = circuit.waitMs();
  if (waitMs > 0) return postpone(context, job, clock.now() + waitMs);
  await job.begun();
  const html = mailHtml({ title: mail.subject, text: mail.text });
  try {
    await callWithin((limit) => channel.call({ ...mail, html, id: job.id }, limit), signal);
  } catch (error) {
    if (signal.aborted) throw error;
    return await failed(context, job, circuit, error);
  } finally {
    circuit.abandoned();
  }
  circuit.accepted();
  await db.write(async (trx) => {
    await jobs.complete(job, trx);
    await trx.deleteFrom("sealed_mails").where("id", "=", job.id).execute();
    addEffect(trx, { type: "delivery-outcome", channel: "email", state: "delivered" });
  });
  return COMPLETED;
}

/** @throws the error that ends the attempt */
async function failed(
  context: DeliveryContext,
  job: RunningJob,
  circuit: CircuitBreaker,
  error: unknown,
): Promise<typeof COMPLETED> {
  const { clock, metrics, log } = context;
  circuit.refused(error);
  log.warn({ jobId: job.id, attempt: job.attempt, err: error }, "cannot send a mail");
  if (error instanceof ProviderDown) return postpone(context, job, clock.now() + circuit.waitMs());
  metrics.count("email", "failed");
  throw error instanceof TargetGone ? new PermanentError(error.message, { cause: error }) : error;
}

async function postpone({ db, jobs }: DeliveryContext, job: RunningJob, until: EpochMs): Promise<typeof COMPLETED> {
  await db.write((trx) => jobs.postpone(job, trx, until));
  return COMPLETED;
}

/** @returns undefined if its link has expired. @throws PermanentError if no key opens it */
async function openMail(
  { db, box, clock }: Pick<DeliveryContext, "db" | "box" | "clock">,
  id: string,
): Promise<Mail | undefined> {
  const row = await findMail(db.read, id, clock.now());
  try {
    return row && (JSON.parse(box.open(mailSealContext(id), row.content).toString()) as Mail);
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
