import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";

const NICENESS = 10;

/** Lets other threads have the processor first: on Linux each thread has a priority of its own (setpriority(2)). */
export function yieldToOthers(): void {
  if (process.platform !== "linux") return;
  try {
    const [, thread] = /(\d+)$/.exec(readlinkSync("/proc/thread-self")) ?? [];
    setPriority(Number(thread), NICENESS);
  } catch {
    // A container may forbid it, or have no /proc: hashing is then merely less polite.
  }
}
