import type { Caller } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";

/** Scans of one caller that may wait. A page of a console asks for a few lists at once. */
const MAX_WAITING = 16;

/** A read that waits for the scan thread. */
export interface WaitingScan {
  readonly caller: Caller;
  /** It will not be run: its client has gone away. */
  drop(): void;
}

/**
 * The reads that wait for the scan thread, one queue for each caller. The callers take turns, so that one who asks for many delays the others
 * by one read each. What Prism does by itself (retention, digests) is one caller more, without a limit.
 */
export class ScanTurns<T extends WaitingScan> {
  /** In the order of turns. */
  readonly #queues = new Map<string, T[]>();

  /** @throws RATE_LIMITED when enough reads of the caller wait */
  add(scan: T): void {
    const key = turnKey(scan.caller);
    const queue = this.#queues.get(key) ?? [];
    if (key !== OWN && queue.length >= MAX_WAITING && this.#withoutGone(queue) >= MAX_WAITING)
      throw new PrismError("RATE_LIMITED", "Too many of your reads wait already", { retryAfterMs: 1000 });
    queue.push(scan);
    this.#queues.set(key, queue);
  }

  /** The next read whose client is still there. */
  next(): T | undefined {
    for (const [key, queue] of this.#queues) {
      this.#withoutGone(queue);
      const scan = queue.shift();
      this.#queues.delete(key);
      // The caller's next turn comes after all others.
      if (queue.length > 0) this.#queues.set(key, queue);
      if (scan) return scan;
    }
    return undefined;
  }

  /** @returns how many are left. */
  #withoutGone(queue: T[]): number {
    const left = queue.filter((scan) => {
      const isGone = scan.caller.isGone?.() === true;
      if (isGone) scan.drop();
      return !isGone;
    });
    queue.splice(0, queue.length, ...left);
    return left.length;
  }
}

const OWN = "own";

function turnKey({ principal, process, ip }: Caller): string {
  if (principal) return principal.key;
  return process === "request" ? `ip:${ip}` : OWN;
}
