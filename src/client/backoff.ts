import type { Environment } from "./wire.ts";

export interface ReconnectOptions {
  /** Longest first delay. Default 1000. */
  readonly minMs?: number;
  /** Longest delay. Default 30 000. */
  readonly maxMs?: number;
}

/** How a connection's end affects the next one. @internal */
export type Verdict = "again" | "slower" | "new token" | "end";

/** The server asks for a lower rate: the first delay is at least this. */
const SLOWER_MS = 5000;
/** A connection that lasted this long resets the delay. */
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
 * By the WebSocket's close code (docs/realtime.md); an unlisted code means that the connection
 * broke. @internal
 */
export function verdictOf(closeCode: number): Verdict {
  return VERDICTS[closeCode] ?? "again";
}

/**
 * Delays between connections: a random part of a limit that doubles each time ("full jitter"), so
 * that the clients of a restarting server do not reconnect at once.
 * @internal
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #environment: Pick<Environment, "random">;
  #attempts = 0;

  constructor({ minMs = 1000, maxMs = 30_000 }: ReconnectOptions, environment: Pick<Environment, "random">) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#environment = environment;
  }

  /** @param atLeastMs the server's minimum, to which the random part is added. */
  nextMs(atLeastMs = 0): number {
    const limit = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts++;
    return Math.round(atLeastMs + this.#environment.random() * limit);
  }

  /** {@link nextMs} after a close that asked for a lower rate. */
  nextSlowerMs(): number {
    return this.nextMs(SLOWER_MS);
  }

  /** @param heldMs how long the connection lasted. */
  held(heldMs: number): void {
    if (heldMs >= STABLE_MS) this.reset();
  }

  reset(): void {
    this.#attempts = 0;
  }
}
