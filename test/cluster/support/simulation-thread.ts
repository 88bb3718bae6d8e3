import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type Fault, runHistory } from "./simulation.ts";

/** Histories of consecutive seeds. */
export interface Histories {
  readonly first: number;
  readonly count: number;
  readonly fault?: Fault | undefined;
}

/** What went wrong in the first history in which something did. */
export interface Found {
  readonly seed: number;
  readonly problems: readonly string[];
}

/**
 * Runs histories until something goes wrong, in a thread of its own: the test runner's hooks would
 * take a third of the time. @returns null when nothing did
 */
export function runHistories(histories: Histories): Promise<Found | null> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL(import.meta.url), { workerData: histories });
    thread.once("message", resolve).once("error", reject);
  });
}

if (!isMainThread && parentPort) {
  const { first, count, fault } = workerData as Histories;
  let found: Found | null = null;
  for (let seed = first; seed < first + count && found === null; seed++) {
    const problems = await runHistory(seed, fault);
    if (problems.length > 0) found = { seed, problems };
    // Not all of them in one turn of the event loop.
    if (seed % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  parentPort.postMessage(found);
}
