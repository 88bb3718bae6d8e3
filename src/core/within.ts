/** Resolves when the work is done, or the time is up; the work goes on all the same. */
export function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  return withinOr<unknown>(limitMs, work, () => undefined) as Promise<void>;
}

/** Ends as the work does, or once the time is up as `late` does; the work goes on all the same. */
export async function withinOr<T>(limitMs: number, work: Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  try {
    return await Promise.race([work, limit.then(late)]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Ends as the work does, or when the signal aborts; the work goes on all the same, for others may wait for it too.
 * @throws `error`, by default the signal's reason
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, error?: Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(error ?? signal.reason);
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}
