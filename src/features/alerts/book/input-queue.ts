import type { Database, Trx } from "../../../store/database.ts";
import { WriteQueue } from "../../../store/write-queue.ts";
import type { Taken } from "./alert-transaction.ts";
import type { CheckedInput } from "./normalise.ts";

/** A transaction of this many holds the writer for some 10 ms. */
const MAX_INPUTS = 200;

type TakeInputs = (trx: Trx, inputs: readonly CheckedInput[]) => Promise<readonly Taken[]>;

/** Inputs that change the state of an alert. */
export class InputQueue {
  readonly #queue: WriteQueue<CheckedInput, Taken>;
  /** Inputs by project and key that wait or are being stored. */
  readonly #keys = new Map<string, number>();

  constructor(db: Database, store: TakeInputs) {
    this.#queue = new WriteQueue({ db, most: MAX_INPUTS, store, ended: (input) => this.#count(input, -1) });
  }

  /** Whether an input for this alert waits: later ones must wait, too, or they would overtake it. */
  has({ projectId, key }: CheckedInput): boolean {
    return this.#keys.has(indexOf(projectId, key));
  }

  /** Resolves after the commit. */
  add(input: CheckedInput): Promise<Taken> {
    this.#count(input, 1);
    return this.#queue.add(input);
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
