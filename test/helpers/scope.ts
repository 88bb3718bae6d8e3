/** Where stand-ins register their end: a test, or a benchmark. */
export interface Scope {
  after(fn: () => unknown): void;
}

/** Runs work, and then the ends that it registered, the last one first. */
export async function withScope<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = [];
  try {
    return await work({ after: (fn) => void ends.push(fn) });
  } finally {
    for (const end of ends.reverse()) await end();
  }
}
