import { type Deferred, deferred } from "../../../core/deferred.ts";
import { PrismError } from "../../../core/errors.ts";
import { type Committer, emptyContent, type SealedSet, type SetSource } from "../../../store/commit/committer.ts";
import type { CommitOutcome, JobRow } from "../../../store/commit/write-set.ts";
import { commitError } from "../../../store/sqlite/sqlite-errors.ts";

/** Rows of one write set: the writer is not held longer than for a set of events. */
const ROWS_PER_SET = 1000;
const MAX_PENDING = 100_000;

interface Pending {
  readonly row: JobRow;
  readonly done: Deferred<void>;
}

/**
 * Puts jobs that belong to no transaction into the table, those of one loop turn in one commit. For jobs without a dedupe key, which no row
 * can refuse.
 */
export class JobEnqueuer implements SetSource {
  readonly #committer: Committer;
  readonly #onEnqueued: (rows: readonly JobRow[]) => void;
  #pending: Pending[] = [];

  /** @param onEnqueued told of rows when they are on disk. */
  constructor(committer: Committer, onEnqueued: (rows: readonly JobRow[]) => void) {
    this.#committer = committer;
    this.#onEnqueued = onEnqueued;
  }

  /** Resolves when the job is on disk. @throws OVERLOADED, STORAGE_FULL, DATABASE_UNAVAILABLE, SHUTTING_DOWN */
  async add(row: JobRow): Promise<void> {
    if (this.#pending.length >= MAX_PENDING)
      throw new PrismError("OVERLOADED", "Too many jobs wait for the writer", { retryAfterMs: 1000 });
    this.#committer.requireOpen();
    const done = deferred<void>();
    this.#pending.push({ row, done });
    this.#committer.wantSet(this);
    return done.promise;
  }

  seal(): SealedSet | null {
    const taken = this.#pending.slice(0, ROWS_PER_SET);
    this.#pending = this.#pending.slice(ROWS_PER_SET);
    if (taken.length === 0) return null;
    if (this.#pending.length > 0) this.#committer.wantSet(this);
    const insert = taken.map(({ row }) => row);
    return {
      content: {
        ...emptyContent(),
        jobs: { insert, progress: [], finish: [], promoteDueAt: null, setBack: null, claim: [] },
      },
      settle: (outcome) => this.#settle(outcome, taken, insert),
    };
  }

  #settle(outcome: CommitOutcome, taken: readonly Pending[], rows: readonly JobRow[]): void {
    if (outcome.ok) {
      this.#onEnqueued(rows);
      for (const { done } of taken) done.resolve();
      return;
    }
    const error = commitError(outcome.failure, new Error(outcome.message));
    for (const { done } of taken) done.reject(error);
  }
}
