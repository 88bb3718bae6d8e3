import { statfs } from "node:fs/promises";
import { PrismError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";

const CHECK_EVERY_MS = 1000;

/** Refuses to store more while one of the disks that are written has less room than the operator wants kept free; looks again every second, so it recovers by itself. */
export class StorageGuard {
  readonly #dirs: readonly string[];
  readonly #minFreeBytes: number;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;
  #freeBytes = Number.POSITIVE_INFINITY;

  /** @param dirs of the database and of the data directory, which may be on different disks. */
  constructor(dirs: readonly string[], minFreeBytes: number, log: Logger) {
    this.#dirs = [...new Set(dirs)];
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

  /** Of the disk that has the least. */
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
      const disks = await Promise.all(this.#dirs.map((dir) => statfs(dir)));
      this.#freeBytes = Math.min(...disks.map(({ bavail, bsize }) => bavail * bsize));
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
