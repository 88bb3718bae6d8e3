import type { Surroundings } from "./wire.ts";

export interface ReconnectOptions {
  /** The longest first wait. Default 1000. */
  readonly minMs?: number;
  /** The longest wait of all. Default 30 000. */
  readonly maxMs?: number;
}

/** What a connection's end means for the next one. @internal */
export type Verdict = "again" | "slower" | "new token" | "end";

/** The server asks for less: the first wait is at least this. */
const SLOWER_MS = 5000;
/** A connection that held for this long makes the next wait a first one. */
const STABLE_MS = 10_000;

const VERDICTS: Readonly<Record<number, Verdict>> = {
  1013: "slower",
  4429: "slower",
  4401: "new token",
  4400: "end",
  4403: "end",
  4404: "end",
};

/**
 * By the WebSocket's close code (docs/realtime.md); a code that is not listed says that the line
 * broke. @internal
 */
export function verdictOf(closeCode: number): Verdict {
  return VERDICTS[closeCode] ?? "again";
}

/**
 * Waits between connections: a random part of a limit that doubles each time ("full jitter"), so
 * that the clients of a server that restarts do not come back all at once.
 * @internal
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #surroundings: Pick<Surroundings, "random">;
  #attempts = 0;

  constructor({ minMs = 1000, maxMs = 30_000 }: ReconnectOptions, surroundings: Pick<Surroundings, "random">) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#surroundings = surroundings;
  }

  /** @param atLeastMs what the server asks for; the random part comes on top of it. */
  nextMs(atLeastMs = 0): number {
    const limit = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts++;
    return Math.round(atLeastMs + this.#surroundings.random() * limit);
  }

  /** {@link nextMs} after a close that asked for less. */
  nextSlowerMs(): number {
    return this.nextMs(SLOWER_MS);
  }

  /** @param heldMs how long the connection was of use. */
  held(heldMs: number): void {
    if (heldMs >= STABLE_MS) this.reset();
  }

  reset(): void {
    this.#attempts = 0;
  }
}
