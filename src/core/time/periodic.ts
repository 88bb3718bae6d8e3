/** Work that is repeated: a flush of counters, a note that this process lives, a look at a disk. */
export interface Periodic {
  readonly isStarted: boolean;
  start(): void;
  /** Runs it now, or after the run that is under way, which may have read too early. */
  run(): Promise<void>;
  /** Ends the repetition. Resolves when nothing runs any more. */
  stop(): Promise<void>;
}

interface PeriodicOptions {
  readonly everyMs: number;
  /** Is not called while it still runs. @param isLast for the run at the end */
  work(isLast: boolean): unknown;
  /** Default: an error ends the process, as an unhandled rejection does. */
  onError?(error: unknown): void;
  /** Runs once more at the end, also if it was never started. */
  readonly atStop?: boolean;
}

/** Repeats `work` between `start` and `stop`, one run at a time. It does not keep the process alive. */
export function periodic({ everyMs, work, onError, atStop = false }: PeriodicOptions): Periodic {
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> | null = null;
  const attempt = async (isLast: boolean): Promise<void> => {
    try {
      await work(isLast);
    } catch (error) {
      if (!onError) throw error;
      onError(error);
    }
  };
  const run = async (isLast = false): Promise<void> => {
    // Checked and set in one step: of two that wait, the second waits for the first.
    while (running) await running.catch(() => undefined);
    running = attempt(isLast).finally(() => {
      running = null;
    });
    await running;
  };
  return {
    get isStarted() {
      return timer !== null;
    },
    start() {
      timer ??= setInterval(() => {
        if (!running) void run();
      }, everyMs).unref();
    },
    run: () => run(),
    async stop() {
      if (timer) clearInterval(timer);
      timer = null;
      await (atStop ? run(true) : running?.catch(() => undefined));
    },
  };
}
