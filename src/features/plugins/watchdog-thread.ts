import { writeSync } from "node:fs";
import { parentPort } from "node:worker_threads";

/** Data shared by the main thread and its watchdog: see {@link CELL}. */
export interface WatchdogThreadData {
  readonly cells: Int32Array;
  /** Name of the module whose code the main thread is running. */
  readonly name: Uint8Array;
  readonly blockedMs: number;
}

export const MAX_NAME_BYTES = 128;

/** Indexes of the shared array. */
export const CELL = {
  /** Incremented by each turn of the main thread's loop. */
  beat: 0,
  /** Length of the name in bytes; 0: no known module code is running. */
  nameBytes: 1,
  /** Not 0: the watchdog must end. */
  stop: 2,
} as const;

const LOOK_MS = 500;

/**
 * Main function of the watchdog thread: reports once when the main thread's loop is blocked,
 * because an endless loop in a module keeps anything else from reporting it. Writes directly to the
 * process's output, because a logger would wait for the main thread.
 */
export function runWatchdogThread({ cells, name, blockedMs }: WatchdogThreadData): void {
  parentPort?.postMessage("watching");
  let beat = Atomics.load(cells, CELL.beat);
  let stillMs = 0;
  let isReported = false;
  let lookedAt = performance.now();
  while (Atomics.load(cells, CELL.stop) === 0) {
    Atomics.wait(cells, CELL.stop, 0, LOOK_MS);
    const now = performance.now();
    const next = Atomics.load(cells, CELL.beat);
    // After the machine slept, at most one interval counts.
    stillMs = next === beat ? stillMs + Math.min(now - lookedAt, 2 * LOOK_MS) : 0;
    lookedAt = now;
    if (next !== beat) isReported = false;
    beat = next;
    if (stillMs < blockedMs || isReported) continue;
    isReported = true;
    const bytes = Atomics.load(cells, CELL.nameBytes);
    say(bytes === 0 ? undefined : Buffer.from(name.slice(0, bytes)).toString(), stillMs);
  }
}

function say(module: string | undefined, stillMs: number): void {
  const line = {
    level: "error",
    time: new Date().toISOString(),
    ns: "prism:modules",
    ...(module === undefined ? {} : { module }),
    blockedMs: Math.round(stillMs),
    msg:
      module === undefined
        ? "the event loop is blocked; nothing is answered"
        : "a module blocks the event loop; nothing is answered",
  };
  writeSync(1, `${JSON.stringify(line)}\n`);
}
