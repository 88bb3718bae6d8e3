import { RetryLater } from "../../../jobs/index.ts";

const MAX_REASON = 200;

/** A provider's own words, short and without the token. */
export function reasonOf(words: string, token: string): string {
  return words.replaceAll(token, "***").replace(/\s+/g, " ").slice(0, MAX_REASON);
}

/** To be tried again: when the provider says, else with backoff. */
export function tryAgain(message: string, retryAfterMs: number | undefined): Error {
  return retryAfterMs === undefined ? new Error(message) : new RetryLater(message, retryAfterMs);
}

/** Why a provider was not reached, in the words of the cause that lies deepest. */
export function notReached(provider: string, error: unknown): Error {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const words = cause instanceof Error ? cause.message || cause.name : String(cause);
  return new Error(`${provider} was not reached: ${words}`, { cause: error });
}
