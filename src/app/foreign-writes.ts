import type { WriterPort } from "../store/commit/writers.ts";

/** A command that writes beside the server is noticed within this time (D35). */
const ASK_EVERY_MS = 250;

/** Notices commits of other processes, so that what a command changed counts here at once. */
export class ForeignWrites {
  readonly #port: WriterPort;
  readonly #onWrite: () => void;
  #timer: NodeJS.Timeout | null = null;
  #version: number | null = null;

  constructor(port: WriterPort, onWrite: () => void) {
    this.#port = port;
    this.#onWrite = onWrite;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#ask(), ASK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    const version = await this.#port.dataVersion().catch(() => null);
    if (version === null) return;
    // The first answer counts as a change: what was committed between the reading of the caches and now would never be noticed.
    const hasChanged = version !== this.#version;
    this.#version = version;
    if (hasChanged) this.#onWrite();
  }
}
