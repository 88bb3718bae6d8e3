import { setImmediate } from "node:timers/promises";

const TURN_MS = 5;

/** Lets other work run while a long computation goes on. */
export class LoopTurns {
  #untilMs = performance.now() + TURN_MS;

  /** To be awaited between the parts of the computation; returns at once until the turn of the loop has taken 5 ms. */
  async pause(): Promise<void> {
    if (performance.now() < this.#untilMs) return;
    await setImmediate();
    this.#untilMs = performance.now() + TURN_MS;
  }
}
