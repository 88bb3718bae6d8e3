import { readFileSync, readlinkSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

/**
 * What the prelude of the packed executable (src/prelude.cjs) installs before the bundle runs;
 * absent when run from source.
 */
interface PackedRuntime {
  asset(name: string): Buffer;
  native(name: string): unknown;
  importFile(url: string): Promise<unknown>;
}

declare global {
  var __packed: PackedRuntime | undefined;
}

const packed = globalThis.__packed;

/**
 * A file that travels with the program, by the name build.mjs gives it: from the executable, or
 * from the source tree.
 */
export function readAsset(name: string, sourcePath: string): Buffer {
  return packed ? packed.asset(name) : readFileSync(join(import.meta.dirname, "../..", sourcePath));
}

/**
 * Imports a file that is no part of the program: from the packed executable too, whose own `import`
 * knows nothing of the disk.
 */
export function importFile(url: string): Promise<unknown> {
  return packed ? packed.importFile(url) : import(url);
}

/** The threads of this program; src/worker.ts starts each. */
export type ThreadRole = "writer" | "scan" | "snapshot" | "hash" | "watchdog" | "backtest";

export function startThread(role: ThreadRole, data: unknown): Worker {
  const workerData = { role, data };
  const code = packed ? packed.asset("worker.js").toString("utf8") : sourceWorker();
  return new Worker(code, { eval: true, workerData });
}

/**
 * From source, a thread needs a TypeScript loader of its own: Node 20 does not pass on the main
 * thread's. Compiled tests need none.
 */
function sourceWorker(): string {
  if (!import.meta.url.endsWith(".ts"))
    return `import(${JSON.stringify(new URL("../worker.js", import.meta.url).href)});`;
  const entry = new URL("../worker.ts", import.meta.url).href;
  // Looked up from here: a thread made of text would look in the working directory, where there
  // need be none.
  const loader = import.meta.resolve("tsx/esm/api");
  return `import(${JSON.stringify(loader)}).then(({ register }) => (register(), import(${JSON.stringify(entry)})));`;
}

const NICENESS = 10;

/**
 * Lets other threads have the processor first: on Linux each thread has a priority of its own
 * (setpriority(2)).
 */
export function yieldToOthers(): void {
  if (process.platform !== "linux") return;
  try {
    const [, thread] = /(\d+)$/.exec(readlinkSync("/proc/thread-self")) ?? [];
    setPriority(Number(thread), NICENESS);
  } catch {
    // A container may forbid it, or have no /proc: hashing is then merely less polite.
  }
}

/**
 * Says of an error in a callback that nobody waits for whether it was dealt with: then it does not
 * end the process.
 */
type StrayClaim = (error: unknown) => boolean;

const claims = new Set<StrayClaim>();

/**
 * From now on `claim` is asked of every such error, in the asynchronous context of the callback
 * that threw or the promise that was rejected.
 */
export function claimStrays(claim: StrayClaim): void {
  claims.add(claim);
}

export function isStrayClaimed(error: unknown): boolean {
  for (const claim of claims) if (claim(error)) return true;
  return false;
}

/** Of this program; equal to package.json's, which a test compares. */
export const VERSION = "0.1.0";
