import { PermanentError, RetryLater } from "../../../jobs/index.ts";
import { DeadTarget, ProviderDown } from "../../sender.ts";

/** What nodemailer says of an SMTP session that failed. */
interface SmtpError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
  readonly command?: string;
}

/** After a 4xx; the backoff of the queue may be longer. */
const TRY_AGAIN_MS = 60_000;

/**
 * What a failed mail means (RFC 5321 section 4.2.1: 4xx may be tried again, 5xx may not). A refused recipient or text is the message's own; a
 * refused login or sender is everybody's. Anything else did not get as far as an answer and is tried again.
 */
export function mailFailure(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const { code, responseCode = 0, command = "", message } = error as SmtpError;
  const options = { cause: error };
  if (code === "EAUTH" || code === "ENOAUTH" || code === "ETLS") return new ProviderDown(message, options);
  const isPermanent = responseCode >= 500 && responseCode < 600;
  if (responseCode === 421) return error;
  if (responseCode >= 400 && !isPermanent) return new RetryLater(message, TRY_AGAIN_MS, options);
  if (!isPermanent) return error;
  if (command === "RCPT TO") return new DeadTarget(message, options);
  if (command === "DATA") return new PermanentError(message, options);
  return new ProviderDown(message, options);
}
