import type { QueueSettings } from "./job.ts";

/** Delay before attempt n+1 (contract 8.2): doubling from the base to the cap. */
export const RETRY_BASE_MS = 1000;
export const RETRY_CAP_MS = 900_000;

/** The longest the delay after this failed attempt can be. @param attempt counts from 1. */
export function retryDelayMs(attempt: number, baseMs = RETRY_BASE_MS, capMs = RETRY_CAP_MS): number {
  return Math.min(baseMs * 2 ** Math.min(attempt - 1, 40), capMs);
}

/** Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): many jobs that failed together do not come back together. */
export function jitteredDelayMs(
  attempt: number,
  { backoffBaseMs, backoffCapMs }: Pick<QueueSettings, "backoffBaseMs" | "backoffCapMs">,
  random: () => number = Math.random,
): number {
  return Math.round(retryDelayMs(attempt, backoffBaseMs, backoffCapMs) * random());
}
