import type { PrismError } from "./errors.ts";
import type { Environment } from "./wire.ts";

interface Waiter {
  readonly offset: number;
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: PrismError): void;
}

/** At most ten a second: the server accepts 50 messages per connection. */
const PAUSE_MS = 100;

/** Reports how far a stream was handled. Only the latest offset is sent, one at a time. */
export class Acknowledger {
  readonly #environment: Environment;
  readonly #send: (offset: number) => string | null;
  #wanted = 0;
  #acked = 0;
  /** The message that is not answered yet. */
  #asked: string | null = null;
  #pause: unknown = null;
  #waiters: Waiter[] = [];
  #closed: PrismError | null = null;

  /** @param send sends it to the server. @returns the message's id; null without a subscription */
  constructor(environment: Environment, send: (offset: number) => string | null) {
    this.#environment = environment;
    this.#send = send;
  }

  want(offset: number): void {
    if (this.#closed) return;
    this.#wanted = Math.max(this.#wanted, offset);
    this.#go();
  }

  /** {@link want} that resolves when the server has it. */
  wait(offset: number): Promise<void> {
    if (offset <= this.#acked) return Promise.resolve();
    if (this.#closed) return unheard(Promise.reject(this.#closed));
    let [resolve, reject]: [() => void, (error: PrismError) => void] = [() => undefined, () => undefined];
    const promise = new Promise<void>((...functions) => {
      [resolve, reject] = functions;
    });
    this.#waiters.push({ offset, promise, resolve, reject });
    this.want(offset);
    return promise;
  }

  /** @param id of the message that is answered */
  acked(id: string | undefined, offset: number): void {
    if (!this.#answers(id)) return;
    this.#acked = Math.max(this.#acked, offset);
    const [done, waiting] = [[] as Waiter[], [] as Waiter[]];
    for (const waiter of this.#waiters) (waiter.offset <= this.#acked ? done : waiting).push(waiter);
    this.#waiters = waiting;
    for (const waiter of done) waiter.resolve();
    this.#go();
  }

  /** @returns whether a caller was waiting. */
  refused(id: string | undefined, error: PrismError): boolean {
    if (!this.#answers(id)) return false;
    this.#wanted = this.#acked;
    return this.#reject(error).length > 0;
  }

  /** The subscription is active: unanswered offsets are sent again. */
  subscribed(): void {
    this.#asked = null;
    this.#go();
  }

  /** Offsets restart. @param error for callers that wait for an earlier one */
  reset(error: PrismError): void {
    this.#asked = null;
    this.#wanted = 0;
    this.#acked = 0;
    this.#drop(error);
  }

  /** Nothing is sent any more. */
  close(error: PrismError): void {
    this.#closed = error;
    this.#wanted = this.#acked;
    this.#environment.clearTimeout(this.#pause);
    this.#drop(error);
  }

  #answers(id: string | undefined): boolean {
    const isExpected = id !== undefined && id === this.#asked;
    if (isExpected) this.#asked = null;
    return isExpected;
  }

  #drop(error: PrismError): void {
    for (const { promise } of this.#reject(error)) unheard(promise);
  }

  #reject(error: PrismError): readonly Waiter[] {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
    return waiters;
  }

  #go(): void {
    if (this.#asked !== null || this.#pause !== null || this.#wanted <= this.#acked) return;
    this.#asked = this.#send(this.#wanted);
    if (this.#asked === null) return;
    this.#pause = this.#environment.setTimeout(() => {
      this.#pause = null;
      this.#go();
    }, PAUSE_MS);
  }
}

/** Not a refusal: it ends no program that does not wait for it. */
function unheard(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}
