import type { PrismError } from "./errors.ts";
import type { Surroundings } from "./wire.ts";

interface Waiter {
  readonly offset: number;
  resolve(): void;
  reject(error: PrismError): void;
}

/** Ten a second at most: the server takes 50 messages of a connection. */
const PAUSE_MS = 100;

/**
 * Tells the server how far a stream was handled: the last offset counts, so only that is sent, one
 * at a time.
 */
export class Acknowledger {
  readonly #surroundings: Surroundings;
  readonly #send: (offset: number) => boolean;
  #wanted = 0;
  #acked = 0;
  #isAsking = false;
  #pause: unknown = null;
  #waiters: Waiter[] = [];

  /**
   * @param send says it to the server. @returns false while there is no subscription to say it of
   */
  constructor(surroundings: Surroundings, send: (offset: number) => boolean) {
    this.#surroundings = surroundings;
    this.#send = send;
  }

  want(offset: number): void {
    this.#wanted = Math.max(this.#wanted, offset);
    this.#go();
  }

  /** {@link want}, resolved when the server has it. */
  wait(offset: number): Promise<void> {
    if (offset <= this.#acked) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ offset, resolve, reject });
      this.want(offset);
    });
  }

  acked(offset: number): void {
    this.#isAsking = false;
    this.#acked = Math.max(this.#acked, offset);
    const [done, waiting] = [[] as Waiter[], [] as Waiter[]];
    for (const waiter of this.#waiters) (waiter.offset <= this.#acked ? done : waiting).push(waiter);
    this.#waiters = waiting;
    for (const waiter of done) waiter.resolve();
    this.#go();
  }

  /** @returns whether somebody waited to hear of it. */
  refused(error: PrismError): boolean {
    this.#isAsking = false;
    this.#wanted = this.#acked;
    return this.end(error);
  }

  /** The subscription is there: what was not answered before is said again. */
  subscribed(): void {
    this.#isAsking = false;
    this.#go();
  }

  /** Offsets begin anew. */
  reset(): void {
    this.#wanted = 0;
    this.#acked = 0;
  }

  end(error: PrismError): boolean {
    this.#surroundings.clearTimeout(this.#pause);
    this.#pause = null;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
    return waiters.length > 0;
  }

  #go(): void {
    if (this.#isAsking || this.#pause !== null || this.#wanted <= this.#acked || !this.#send(this.#wanted)) return;
    this.#isAsking = true;
    this.#pause = this.#surroundings.setTimeout(() => {
      this.#pause = null;
      this.#go();
    }, PAUSE_MS);
  }
}
