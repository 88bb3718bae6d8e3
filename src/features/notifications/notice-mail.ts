import type { Config } from "../../config/load.ts";
import type { ReadDb } from "../../store/database.ts";
import type { Mailer } from "../delivery/index.ts";
import { DeadTarget, mailFailure, mailOf, sendWithin, unsubscribeHeaders } from "../delivery/index.ts";
import { PermanentError } from "../jobs/index.ts";

/** A mail to one of the people of a notification; the payload of its job. */
export interface NoticeMail {
  readonly notificationId: string;
  readonly userId: string;
}

export interface NoticeMailParts {
  readonly mailer: Mailer;
  readonly db: ReadDb;
  /** Says where the server is reached, for a link below the message and one that ends such mails. */
  readonly config: Pick<Config, "publicUrl" | "secrets">;
}

export interface NoticeMailOptions {
  /** Of the job that sends it, which names the mail: a second attempt is the same mail. */
  readonly id: string;
  /** Stands below the message, for this reader alone. */
  readonly postscript?: string;
  /** A further way to end such mails, as List-Unsubscribe takes it. */
  readonly unsubscribeBy?: string;
  /** Aborts when the server stops: the mail is then soon given up, and the job that sends it given back. */
  readonly signal: AbortSignal;
}

/**
 * Sends a notification of a project as mail, to the address that the account has now. A notification or an account that is gone needs none.
 * @returns whether a mail went out. @throws PermanentError where trying again cannot help; RetryLater, and what SMTP says
 */
export async function mailNotice(
  { mailer, db, config }: NoticeMailParts,
  { notificationId, userId }: NoticeMail,
  { id, postscript, unsubscribeBy, signal }: NoticeMailOptions,
): Promise<boolean> {
  const notification = await db
    .selectFrom("notifications")
    .select(["title", "message", "action", "kind", "priority"])
    .where("id", "=", notificationId)
    .executeTakeFirst();
  const user = await db
    .selectFrom("users")
    .select(["email", "timezone"])
    .where("id", "=", userId)
    .where("status", "=", "active")
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  if (!notification || !user?.email) return false;
  const message = postscript === undefined ? notification.message : `${notification.message}\n\n${postscript}`;
  const mail = mailOf({ ...notification, message }, id, { timezone: user.timezone, serverUrl: config.publicUrl });
  const unsubscribe = unsubscribeHeaders(config, { userId, kind: notification.kind }, unsubscribeBy);
  const to = user.email;
  try {
    const headers = { ...mail.headers, ...unsubscribe };
    await sendWithin(() => mailer.send({ to, ...mail, headers }), signal);
  } catch (error) {
    const failure = mailFailure(error);
    throw failure instanceof DeadTarget ? new PermanentError(failure.message, { cause: failure }) : failure;
  }
  return true;
}
