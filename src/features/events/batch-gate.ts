import { type Deferred, deferred } from "../../core/deferred.ts";
import type { BodyReader } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";

/** A parsed batch can take twenty times the memory of its text, so few are read at a time; the rest wait as text. */
const READ_AT_ONCE = 2;
/** What a batch that waits costs besides its text. */
const WAITING_BYTES = 2048;

/** Events that wait for the writer, beyond which no further batch is read: two write sets, so that the writer never waits for one. */
const READ_AHEAD_BYTES = 8 * 1024 * 1024;

/** What the gate asks of the pipeline. */
export interface ReadAhead {
  /** Bytes of events that are read and wait for the writer. */
  readonly unsealedBytes: number;
  /** @param fn is called whenever events have gone to the writer. */
  onTaken(fn: () => void): void;
}

/**
 * Lets few batches be read at a time, in the order in which they came, and none while enough events wait for the writer. What waits counts
 * with the bodies that are being received: beyond their limit a batch is refused. So the memory of all batches together has a bound, however
 * many are sent at once.
 */
export class BatchGate {
  readonly #bodies: Pick<BodyReader, "hold">;
  readonly #ahead: ReadAhead;
  readonly #waiting: Deferred<void>[] = [];
  #reading = 0;

  constructor(bodies: Pick<BodyReader, "hold">, ahead: ReadAhead) {
    this.#bodies = bodies;
    this.#ahead = ahead;
    ahead.onTaken(() => this.#admit());
  }

  /** Batches that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs `read` when it is the batch's turn. @param bytes of the body, counted until `read` has ended. @throws OVERLOADED */
  async pass<T>(exchange: Exchange, bytes: number, read: () => Promise<T>): Promise<T> {
    const release = this.#bodies.hold(exchange, bytes + WAITING_BYTES);
    try {
      const turn = deferred<void>();
      this.#waiting.push(turn);
      this.#admit();
      await turn.promise;
      try {
        return await read();
      } finally {
        this.#reading--;
        this.#admit();
      }
    } finally {
      release();
    }
  }

  #admit(): void {
    while (this.#reading < READ_AT_ONCE && this.#ahead.unsealedBytes < READ_AHEAD_BYTES) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#reading++;
      next.resolve();
    }
  }
}
