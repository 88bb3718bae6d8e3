import type { Worker } from "node:worker_threads";
import type { Logger } from "../../core/log.ts";
import { startThread } from "../../core/runtime.ts";
import { CELL, MAX_NAME_BYTES, type WatchdogThreadData } from "./watchdog-thread.ts";

const BEAT_MS = 250;
/** The loop counts as blocked after this long without a turn. */
const BLOCKED_MS = 5000;

/** Checks in a thread whether modules block the event loop. Runs only while some are loaded. */
export class Watchdog {
  readonly #log: Logger;
  readonly #blockedMs: number;
  readonly #cells = new Int32Array(new SharedArrayBuffer(4 * Object.keys(CELL).length));
  readonly #name = new Uint8Array(new SharedArrayBuffer(MAX_NAME_BYTES));
  /** Encoded names for the shared memory. */
  readonly #encoded = new Map<string, Uint8Array>();
  #current: string | null = null;
  #thread: Worker | null = null;
  #beats: NodeJS.Timeout | null = null;

  constructor(log: Logger, blockedMs = BLOCKED_MS) {
    this.#log = log;
    this.#blockedMs = blockedMs;
  }

  /** Idempotent. */
  start(): void {
    if (this.#thread) return;
    const data: WatchdogThreadData = { cells: this.#cells, name: this.#name, blockedMs: this.#blockedMs };
    this.#thread = startThread("watchdog", data);
    this.#thread.unref();
    this.#thread.once("message", () => this.#log.debug({}, "watchdog of the event loop started"));
    this.#thread.on("error", (error) => this.#log.warn({ err: error }, "watchdog of the event loop stopped"));
    let last = performance.now();
    this.#beats = setInterval(() => {
      Atomics.add(this.#cells, CELL.beat, 1);
      const blockedMs = performance.now() - last - BEAT_MS;
      last = performance.now();
      if (blockedMs >= this.#blockedMs) this.#log.error({ blockedMs: Math.round(blockedMs) }, "event loop blocked");
    }, BEAT_MS);
    this.#beats.unref();
  }

  /** Runs a module's code; its synchronous part is attributed to the module. */
  within<T>(name: string, fn: () => T): T {
    const before = this.#current;
    this.#share(name);
    try {
      return fn();
    } finally {
      this.#share(before);
    }
  }

  async stop(): Promise<void> {
    if (this.#beats) clearInterval(this.#beats);
    Atomics.store(this.#cells, CELL.stop, 1);
    Atomics.notify(this.#cells, CELL.stop);
    await this.#thread?.terminate();
    this.#thread = null;
  }

  #share(name: string | null): void {
    this.#current = name;
    if (name === null) {
      Atomics.store(this.#cells, CELL.nameBytes, 0);
      return;
    }
    let bytes = this.#encoded.get(name);
    if (!bytes) {
      bytes = Buffer.from(name).subarray(0, MAX_NAME_BYTES);
      this.#encoded.set(name, bytes);
    }
    this.#name.set(bytes);
    Atomics.store(this.#cells, CELL.nameBytes, bytes.length);
  }
}
