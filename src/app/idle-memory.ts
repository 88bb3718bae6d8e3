import { performance } from "node:perf_hooks";

const CHECK_MS = 1000;
/** The part of the time in which the loop of an idle server works. */
const IDLE_UTILIZATION = 0.05;

/**
 * Gives memory that only the start needed back to the system, once the event loop is idle for a
 * second: V8 by itself keeps the new space as large as it became.
 */
export function freeMemoryWhenIdle(): void {
  let last = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    if (utilization > IDLE_UTILIZATION) return;
    clearInterval(timer);
    // A Node that was built without the inspector keeps the memory.
    collectGarbage().catch(() => undefined);
  }, CHECK_MS);
  timer.unref();
}

/** V8's answer to low memory, which the inspector's protocol offers without a port. */
async function collectGarbage(): Promise<void> {
  const { Session } = await import("node:inspector");
  const session = new Session();
  session.connect();
  // A session that ends inside its own answer stops the process.
  session.post("HeapProfiler.collectGarbage", () => setImmediate(() => session.disconnect()));
}
