import { statfs } from "node:fs/promises";
import { PrismError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";

const CHECK_EVERY_MS = 1000;

/** Refuses to store more while the disk has less room than the operator wants kept free; looks again every second, so it recovers by itself. */
export class StorageGuard {
  readonly #dir: string;
  readonly #minFreeBytes: number;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;
  #freeBytes = Number.POSITIVE_INFINITY;

  constructor(dir: string, minFreeBytes: number, log: Logger) {
    this.#dir = dir;
    this.#minFreeBytes = minFreeBytes;
    this.#log = log;
  }

  async start(): Promise<void> {
    await this.#check();
    this.#timer = setInterval(() => void this.#check(), CHECK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  get isFull(): boolean {
    return this.#freeBytes < this.#minFreeBytes;
  }

  /** @throws STORAGE_FULL */
  requireSpace(): void {
    if (this.isFull) throw new PrismError("STORAGE_FULL", "The disk has too little free space; nothing was stored");
  }

  async #check(): Promise<void> {
    const wasFull = this.isFull;
    try {
      const { bavail, bsize } = await statfs(this.#dir);
      this.#freeBytes = bavail * bsize;
    } catch (error) {
      this.#log.warn({ err: error }, "the free disk space cannot be read");
    }
    if (this.isFull === wasFull) return;
    const fields = { freeBytes: this.#freeBytes, minFreeBytes: this.#minFreeBytes };
    if (this.isFull)
      this.#log.error(
        fields,
        "too little free disk space: events, notifications and timers are refused with 507 until there is more",
      );
    else this.#log.info(fields, "free disk space again: everything is accepted");
  }
}
