/** A busy machine needs long; the runner waits longer. */
const PATIENCE_MS = 60_000;

/**
 * Waits for a condition, not for a time: asks again every few milliseconds. @param what the
 * condition, for the error. @throws when it has not come true in `timeoutMs`.
 */
export async function eventually<T>(
  what: string | (() => string),
  ask: () => T | Promise<T>,
  timeoutMs = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
