import type { PrismError } from "./errors.ts";
import type { Environment } from "./wire.ts";

interface Waiter {
  readonly offset: number;
  resolve(): void;
  reject(error: PrismError): void;
}

/** At most ten a second: the server accepts 50 messages per connection. */
const PAUSE_MS = 100;

/** Reports how far a stream was handled. Only the latest offset is sent, one at a time. */
export class Acknowledger {
  readonly #environment: Environment;
  readonly #send: (offset: number) => boolean;
  #wanted = 0;
  #acked = 0;
  #isAsking = false;
  #pause: unknown = null;
  #waiters: Waiter[] = [];

  /** @param send sends it to the server. @returns false without a subscription */
  constructor(environment: Environment, send: (offset: number) => boolean) {
    this.#environment = environment;
    this.#send = send;
  }

  want(offset: number): void {
    this.#wanted = Math.max(this.#wanted, offset);
    this.#go();
  }

  /** {@link want} that resolves when the server has it. */
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

  /** @returns whether a caller was waiting. */
  refused(error: PrismError): boolean {
    this.#isAsking = false;
    this.#wanted = this.#acked;
    return this.end(error);
  }

  /** The subscription is active: unanswered offsets are sent again. */
  subscribed(): void {
    this.#isAsking = false;
    this.#go();
  }

  /** Offsets restart. */
  reset(): void {
    this.#wanted = 0;
    this.#acked = 0;
  }

  end(error: PrismError): boolean {
    this.#environment.clearTimeout(this.#pause);
    this.#pause = null;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
    return waiters.length > 0;
  }

  #go(): void {
    if (this.#isAsking || this.#pause !== null || this.#wanted <= this.#acked || !this.#send(this.#wanted)) return;
    this.#isAsking = true;
    this.#pause = this.#environment.setTimeout(() => {
      this.#pause = null;
      this.#go();
    }, PAUSE_MS);
  }
}
