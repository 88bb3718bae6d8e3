import type { Trx } from "../../store/database.ts";
import type { JobState } from "../../store/schema.ts";

/** A job that was moved by somebody else than its handler: an operator, or the loss of its worker. */
export interface MovedJob {
  readonly jobId: string;
  /** What it is now: `cancelled`, `ready` again, or with its last attempt lost `retrying` or `dead`. */
  readonly state: JobState;
  /** Why, where it is a failure. */
  readonly error: string | null;
}

/** Runs inside the transaction that moves the job; what it throws rolls that back. */
export type MovedHook = (trx: Trx, job: MovedJob) => Promise<void>;

/** Lets features that keep a state of their own beside their jobs' follow what happens to these outside of their handlers. */
export class JobHooks {
  readonly #hooks = new Map<string, MovedHook>();

  /** @returns a function that takes the hook away again. @throws TypeError when the kind has a hook already. */
  add(kind: string, hook: MovedHook): () => void {
    if (this.#hooks.has(kind)) throw new TypeError(`jobs of kind ${kind} have a hook already`);
    this.#hooks.set(kind, hook);
    return () => {
      if (this.#hooks.get(kind) === hook) this.#hooks.delete(kind);
    };
  }

  async tell(trx: Trx, kind: string, job: MovedJob): Promise<void> {
    await this.#hooks.get(kind)?.(trx, job);
  }
}
