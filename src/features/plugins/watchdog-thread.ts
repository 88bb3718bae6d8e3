import { writeSync } from "node:fs";
import { parentPort } from "node:worker_threads";

/** What the main thread and its watchdog share: see {@link CELL}. */
export interface WatchdogThreadData {
  readonly cells: Int32Array;
  /** The module whose code the main thread is in. */
  readonly name: Uint8Array;
  readonly blockedMs: number;
}

export const MAX_NAME_BYTES = 128;

/** Places in the shared array. */
export const CELL = {
  /** Counted up by the main thread while its loop turns. */
  beat: 0,
  /** How many bytes of the name count; 0: the main thread is in no module's code that is known. */
  nameBytes: 1,
  /** Not 0: the watchdog is to end. */
  stop: 2,
} as const;

const LOOK_MS = 500;

/**
 * Looks whether the main thread's loop still turns, and says once when it does not: an endless loop
 * in a module lets nothing else say so. Written to the process's own output at once, for a logger
 * would wait for the main thread.
 */
export function runWatchdogThread({ cells, name, blockedMs }: WatchdogThreadData): void {
  parentPort?.postMessage("watching");
  let beat = Atomics.load(cells, CELL.beat);
  let stillMs = 0;
  let isTold = false;
  let lookedAt = performance.now();
  while (Atomics.load(cells, CELL.stop) === 0) {
    Atomics.wait(cells, CELL.stop, 0, LOOK_MS);
    const now = performance.now();
    const next = Atomics.load(cells, CELL.beat);
    // A machine that slept has stopped both threads: no more than a look's time counts.
    stillMs = next === beat ? stillMs + Math.min(now - lookedAt, 2 * LOOK_MS) : 0;
    lookedAt = now;
    if (next !== beat) isTold = false;
    beat = next;
    if (stillMs < blockedMs || isTold) continue;
    isTold = true;
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
