import { performance } from "node:perf_hooks";
import { collectOnce } from "../core/runtime.ts";

const START_CHECK_MS = 1000;
const CHECK_MS = 10_000;
/** The part of the time in which the loop of an idle server works: after the start, and later. */
const IDLE_AT_START = 0.05;
const IDLE = 0.02;
/** Later the loop must be idle in so many checks in a row. */
const IDLE_CHECKS = 3;
/** It collects again when the process has more memory than after the last time, by this factor. */
const GROWTH = 1.15;

/**
 * Gives memory back to the system once the event loop is idle, after the start and after a busy
 * time: V8 by itself keeps the new space as large as it became.
 * @param collectElsewhere collects in the other threads that live as long as the server
 */
export function freeMemoryWhenIdle(collectElsewhere: () => Promise<void>): void {
  const utilization = idleMeter();
  const timer = setInterval(() => {
    if (utilization() > IDLE_AT_START) return;
    clearInterval(timer);
    // A Node that was built without the inspector keeps the memory.
    dropWhatTheStartNeeded().catch(() => undefined);
    collectAfterLoad(utilization, collectElsewhere);
  }, START_CHECK_MS);
  timer.unref();
}

function collectAfterLoad(utilization: () => number, collectElsewhere: () => Promise<void>): void {
  let kept = Number.POSITIVE_INFINITY;
  let idleChecks = 0;
  const timer = setInterval(() => {
    const resident = process.memoryUsage.rss();
    kept = Math.min(kept, resident);
    idleChecks = utilization() > IDLE ? 0 : idleChecks + 1;
    if (idleChecks < IDLE_CHECKS || resident < kept * GROWTH) return;
    idleChecks = 0;
    const collected = collectElsewhere().then(() => {
      collectOnce();
      kept = process.memoryUsage.rss();
    });
    // A writer that is gone has no memory to free.
    collected.catch(() => undefined);
  }, CHECK_MS);
  timer.unref();
}

/** @returns the part of the time since the last call in which the loop worked */
function idleMeter(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

/**
 * V8's answer to low memory, which the inspector's protocol offers without a port: it also drops
 * code that ran once.
 */
async function dropWhatTheStartNeeded(): Promise<void> {
  const { Session } = await import("node:inspector");
  const session = new Session();
  session.connect();
  // A session that ends inside its own answer stops the process.
  session.post("HeapProfiler.collectGarbage", () => setImmediate(() => session.disconnect()));
}
