import { deferred } from "./deferred.ts";

/** Resolves when the work is done, or the time is up; the work goes on all the same. */
export async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  const limit = deferred<void>();
  const timer = setTimeout(limit.resolve, limitMs);
  await Promise.race([work, limit.promise]).finally(() => clearTimeout(timer));
}
