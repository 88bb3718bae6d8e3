import { MINUTE_MS } from "../../../core/time/clock.ts";
import { PermanentError, RetryLater } from "../../time/jobs/index.ts";
import { Deferred, NoAnswer, ProviderDown, RefusedNow, TargetGone, Throttled } from "../channel.ts";

/** A final refusal is tried again after this time: keys are renewed, chats come back. */
export const REFUSED_PAUSE_MS = 5 * MINUTE_MS;
/** A longer time that a service names counts as a failed way at once. */
const LONGEST_WAIT_MS = 30_000;
const ERROR_LENGTH = 500;
/** From start to start; the last one repeats. */
const DEFERRED_PAUSES_MS = [MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS] as const;

/** When a message that was put off by itself is tried again. @param times it was, before this one */
export function deferredPauseMs(times: number): number {
  return DEFERRED_PAUSES_MS[times] ?? 5 * MINUTE_MS;
}

/**
 * Effect of a failed attempt on its target.
 * `gone`: the service's own word that the target no longer exists: nothing more is sent.
 * `refused`: this message, or every one, is refused: it is tried again some minutes later.
 * `deferred`: this message alone is to be tried again later, such as after greylisting.
 * `wait`: the service, or the channel's rate, named a time for all messages of the target.
 * `network`: the provider was not reached: all its targets share a probe. `isLost`: the request was
 * sent, so that the message may have arrived.
 * `error`: the target failed.
 */
export type PageFailure =
  | { readonly is: "gone" | "refused" | "error" | "deferred"; readonly text: string }
  | { readonly is: "network"; readonly text: string; readonly isLost: boolean }
  | { readonly is: "wait"; readonly text: string; readonly waitMs: number; readonly isOwnRate: boolean };

export function failureOf(thrown: unknown): PageFailure {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const text = error.message.slice(0, ERROR_LENGTH);
  if (error instanceof TargetGone) return { is: "gone", text };
  const isRefused = [PermanentError, ProviderDown, RefusedNow].some((type) => error instanceof type);
  if (isRefused) return { is: "refused", text };
  if (error instanceof RetryLater) {
    const waitMs = Math.ceil(error.retryAfterMs);
    if (error instanceof Deferred) return { is: "deferred", text };
    const { isOwnRate, isGuess } = error instanceof Throttled ? error : { isOwnRate: false, isGuess: false };
    // No time was named: as after any other error, with growing pauses.
    if (waitMs <= 0 || isGuess) return { is: "error", text };
    return { is: "wait", text, waitMs, isOwnRate };
  }
  if (!(error instanceof NoAnswer)) return { is: "error", text };
  return { is: "network", text, isLost: error.phase === undefined || error.phase === "answer" };
}

/** Whether the way counts as failed at once. */
export function failsAtOnce(failure: PageFailure): boolean {
  if (failure.is === "wait") return !failure.isOwnRate && failure.waitMs > LONGEST_WAIT_MS;
  return failure.is === "gone" || failure.is === "refused";
}
