const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs work that leaves files lying about until it is done; whatever ends the process meanwhile, they are removed first. It then ends by the signal itself,
 * which a shell shows as 130: `process.exit` would wait for a thread that SQLite keeps busy, for minutes perhaps.
 */
export async function cleaningUp<T>(cleanUp: () => void, work: () => Promise<T>): Promise<T> {
  const others = SIGNALS.map((signal) => [signal, process.listeners(signal)] as const);
  const end = (signal: NodeJS.Signals): void => {
    cleanUp();
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.removeAllListeners(signal).on(signal, end);
  process.once("exit", cleanUp);
  try {
    return await work();
  } finally {
    process.off("exit", cleanUp);
    for (const [signal, listeners] of others) {
      process.off(signal, end);
      for (const listener of listeners) process.on(signal, listener);
    }
  }
}
