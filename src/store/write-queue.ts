import { AsyncResource } from "node:async_hooks";
import { PrismError } from "../core/errors.ts";
import { type DeferredPromise, deferred } from "../core/promises.ts";
import { type Database, storesAlso, type Trx, type WriteOptions } from "./database.ts";

interface WriteQueueParts<I, O> {
  readonly db: Pick<Database, "write">;
  readonly options?: WriteOptions;
  /** Inputs of one transaction. */
  readonly most: number;
  /** Inputs that may wait; default: any number. */
  readonly mayWait?: number;
  /** Stores them in order. @returns what came of each */
  store(trx: Trx, inputs: readonly I[]): Promise<readonly O[]>;
  /** Whether an error is about one input, so that the others are stored without it; default: a defect is. */
  isOfOne?(error: unknown): boolean;
  /** The input is stored, or has failed: called before its promise settles. */
  ended?(input: I): void;
}

interface Entry<I, O> {
  readonly input: I;
  readonly stored: DeferredPromise<O>;
  /** Stored with it, for its caller. */
  readonly also: ((trx: Trx) => void) | undefined;
}

/**
 * Small writes of one kind: all that wait are one transaction, up to a limit; those that arrive
 * meanwhile are the next one. A transaction costs many times what its statements do.
 */
export class WriteQueue<I, O> {
  readonly #parts: WriteQueueParts<I, O>;
  #waiting: Entry<I, O>[] = [];
  #running: Promise<void> | null = null;
  /** The inputs of many callers: not in the asynchronous context of the first one. */
  readonly #runOutside = AsyncResource.bind(() => this.#run());

  constructor(parts: WriteQueueParts<I, O>) {
    this.#parts = parts;
  }

  /** Resolves after the commit. @throws OVERLOADED */
  add(input: I): Promise<O> {
    const { mayWait = Number.POSITIVE_INFINITY } = this.#parts;
    if (this.#waiting.length >= mayWait)
      throw new PrismError("OVERLOADED", "Too many writes are waiting for the disk", { retryAfterMs: 1000 });
    const stored = deferred<O>();
    this.#waiting.push({ input, stored, also: storesAlso() });
    this.#running ??= this.#runOutside();
    return stored.promise;
  }

  async #run(): Promise<void> {
    // Inputs of the same turn of the event loop are stored together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#store(this.#waiting.splice(0, this.#parts.most));
    // At once: an input that comes in the same turn starts the next run.
    this.#running = null;
  }

  async #store(entries: readonly Entry<I, O>[]): Promise<void> {
    const { db, store, options, isOfOne = isDefect } = this.#parts;
    const inputs = entries.map(({ input }) => input);
    try {
      const results = await db.write(async (trx) => {
        const stored = await store(trx, inputs);
        for (const { also } of entries) also?.(trx);
        return stored;
      }, options);
      for (const [i, entry] of entries.entries()) this.#end(entry, () => entry.stored.resolve(results[i] as O));
    } catch (error) {
      // What one of them meets must not stop the others.
      if (entries.length > 1 && isOfOne(error)) for (const entry of entries) await this.#store([entry]);
      else for (const entry of entries) this.#end(entry, () => entry.stored.reject(error));
    }
  }

  #end({ input }: Entry<I, O>, settle: () => void): void {
    this.#parts.ended?.(input);
    settle();
  }
}

function isDefect(error: unknown): boolean {
  return !(error instanceof PrismError);
}
