/** Resolves when the work is done, or the time is up; the work goes on all the same. */
export async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  await Promise.race([work, new Promise<void>((resolve) => setTimeout(resolve, limitMs).unref())]);
}
