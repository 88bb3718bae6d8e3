/** A busy machine needs long; the runner waits longer. */
const PATIENCE_MS = 60_000;
const LONGEST_PAUSE_MS = 25;

/**
 * Waits for a condition, not for a time: asks again after a millisecond, later after
 * {@link LONGEST_PAUSE_MS}. @param what the condition, for the error. @throws when it has not come
 * true in `timeoutMs`.
 */
export async function eventually<T>(
  what: string | (() => string),
  ask: () => T | Promise<T>,
  timeoutMs = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const startedAt = Date.now();
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    const waitedMs = Date.now() - startedAt;
    if (waitedMs > timeoutMs)
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(LONGEST_PAUSE_MS, 1 + waitedMs / 40)));
  }
}
