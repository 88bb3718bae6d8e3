import { type Deferred, deferred } from "../../base/deferred.ts";
import type { BodyReader } from "../../http/body.ts";

/** A parsed batch can take twenty times the memory of its text, so few are read at a time; the rest wait as text. */
const READ_AT_ONCE = 2;
/** What a batch that waits costs besides its text. */
const WAITING_BYTES = 2048;

/**
 * Lets few batches be read at a time, in the order in which they came. What waits counts with the bodies that are being received: beyond
 * their limit a batch is refused. So the memory of all batches together has a bound, however many are sent at once.
 */
export class BatchGate {
  readonly #bodies: Pick<BodyReader, "hold">;
  readonly #waiting: Deferred<void>[] = [];
  #reading = 0;

  constructor(bodies: Pick<BodyReader, "hold">) {
    this.#bodies = bodies;
  }

  /** Batches that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs `read` when it is the batch's turn. @param bytes of the body, counted until `read` has ended. @throws OVERLOADED */
  async pass<T>(bytes: number, read: () => Promise<T>): Promise<T> {
    const release = this.#bodies.hold(bytes + WAITING_BYTES);
    try {
      await this.#turn();
      try {
        return await read();
      } finally {
        this.#leave();
      }
    } finally {
      release();
    }
  }

  async #turn(): Promise<void> {
    if (this.#reading < READ_AT_ONCE) {
      this.#reading++;
      return;
    }
    const turn = deferred<void>();
    this.#waiting.push(turn);
    await turn.promise;
  }

  /** Whoever has waited longest takes the place of the one that leaves. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next.resolve();
    else this.#reading--;
  }
}
