import { AsyncResource } from "node:async_hooks";
import { PrismError } from "../../../core/errors.ts";
import { type DeferredPromise, deferred } from "../../../core/promises.ts";
import type { Database, Trx } from "../../../store/database.ts";
import type { Taken } from "./alert-transaction.ts";
import type { CheckedInput } from "./normalise.ts";

/** A transaction of this many holds the writer for some 10 ms. */
const MAX_INPUTS = 200;

interface Entry {
  readonly input: CheckedInput;
  readonly taken: DeferredPromise<Taken>;
}

type TakeInputs = (trx: Trx, inputs: readonly CheckedInput[]) => Promise<readonly Taken[]>;

/**
 * Inputs that change the state of an alert. All that wait are stored in one transaction, up to a
 * limit; those that arrive meanwhile are the next one.
 */
export class InputQueue {
  readonly #db: Database;
  readonly #take: TakeInputs;
  #waiting: Entry[] = [];
  /** Inputs by project and key that wait or are being stored. */
  readonly #keys = new Map<string, number>();
  #running: Promise<void> | null = null;
  /** The inputs of many callers: not in the asynchronous context of the first one. */
  readonly #runOutside = AsyncResource.bind(() => this.#run());

  constructor(db: Database, take: TakeInputs) {
    this.#db = db;
    this.#take = take;
  }

  /** Whether an input for this alert waits: later ones must wait, too, or they would overtake it. */
  has({ projectId, key }: CheckedInput): boolean {
    return this.#keys.has(indexOf(projectId, key));
  }

  /** Resolves after the commit. */
  add(input: CheckedInput): Promise<Taken> {
    const taken = deferred<Taken>();
    this.#count(input, 1);
    this.#waiting.push({ input, taken });
    this.#running ??= this.#runOutside();
    return taken.promise;
  }

  async #run(): Promise<void> {
    // Inputs of the same turn of the event loop are stored together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const entries = this.#waiting.splice(0, MAX_INPUTS);
      await this.#store(entries);
    }
    // At once: an input that comes in the same turn starts the next run.
    this.#running = null;
  }

  async #store(entries: readonly Entry[]): Promise<void> {
    const inputs = entries.map(({ input }) => input);
    try {
      const taken = await this.#db.write((trx) => this.#take(trx, inputs));
      for (const [i, entry] of entries.entries()) this.#end(entry, () => entry.taken.resolve(taken[i] as Taken));
    } catch (error) {
      // A defect that one of them meets must not stop the others.
      const isOfOne = !(error instanceof PrismError) && entries.length > 1;
      if (isOfOne) for (const entry of entries) await this.#store([entry]);
      else for (const entry of entries) this.#end(entry, () => entry.taken.reject(error));
    }
  }

  #end({ input }: Entry, settle: () => void): void {
    this.#count(input, -1);
    settle();
  }

  #count({ projectId, key }: CheckedInput, by: number): void {
    const index = indexOf(projectId, key);
    const count = (this.#keys.get(index) ?? 0) + by;
    if (count > 0) this.#keys.set(index, count);
    else this.#keys.delete(index);
  }
}

function indexOf(projectId: string, key: string): string {
  return `${projectId}\n${key}`;
}
