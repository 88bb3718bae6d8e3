/** Longer than a busy machine stands still for, and shorter than the runner waits for a test. */
const PATIENCE_MS = 60_000;

/**
 * Waits for a condition, not for a time: asks again every few milliseconds. @throws when it has not
 * come true in `timeoutMs`.
 */
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  timeoutMs = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
