import { setImmediate, setTimeout } from "node:timers/promises";
import type { HttpListener } from "./listener.ts";

/** The requests that a server is at work on, and those that come while it drains. */
export class ActiveRequests {
  #count = 0;
  #upgraded = 0;
  #lastAt = 0;
  #isDraining = false;
  #whenIdle: (() => void) | null = null;

  get count(): number {
    return this.#count;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** When the last request came, as performance.now() has it; only kept while draining. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** Connections that became WebSockets since the start: the library reports their beginning, but not their end. */
  get upgraded(): number {
    return this.#upgraded;
  }

  began(): void {
    this.#count++;
    if (this.#isDraining) this.#lastAt = performance.now();
  }

  ended(status: number): void {
    this.#count--;
    if (status === 101) this.#upgraded++;
    if (this.#count === 0) this.#whenIdle?.();
  }

  /** From now on the server drains. Resolves when the requests under way are answered. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }
}

/** How long no request may come before kept connections are closed. */
const QUIET_MS = 250;
/** Clients that go on asking are waited for no longer than this. */
const LIMIT_MS = 1000;
/** Of a short `shutdownMs` the quiet and the limit are this part at most. */
const SHARE = 0.05;
const CHECK_MS = 10;

/**
 * Resolves when the connections of a server that drains may be closed: there are none, or no request has come on them for a while. A connection
 * that is closed while a request is on its way leaves the client without an answer.
 * @param shutdownMs how long the whole stop may take
 */
export async function lastRequests(
  requests: ActiveRequests,
  listener: Pick<HttpListener, "openConnections">,
  shutdownMs: number,
): Promise<void> {
  const startedAt = performance.now();
  const quietMs = Math.min(QUIET_MS, shutdownMs * SHARE);
  const limitMs = Math.min(LIMIT_MS, shutdownMs * SHARE * (LIMIT_MS / QUIET_MS));
  const hasConnections = (): boolean => listener.openConnections > requests.upgraded;
  const sinceLastMs = (): number => performance.now() - Math.max(startedAt, requests.lastAt);
  while (hasConnections() && sinceLastMs() < quietMs && performance.now() - startedAt < limitMs)
    await setTimeout(CHECK_MS);
  // The first turn reads what has arrived by now; its answers go out in the second one.
  for (let turn = 0; turn < 2; turn++) await setImmediate();
}
