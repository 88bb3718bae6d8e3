import type { CommitFailure } from "./write-set.ts";

/** A failed commit counts for this long, even when others succeed: a full disk refuses large ones only. */
const FAILURE_HOLDS_MS = 5000;

/** What became of the latest commits of a process. Times are those of a monotonic clock in ms. */
export class WriteRecord {
  readonly #now: () => number;
  #committedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #failure: CommitFailure | null = null;
  #commits = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How many commits there were; what waits in line makes progress while it grows. */
  get commits(): number {
    return this.#commits;
  }

  get sinceCommitMs(): number {
    return this.#now() - this.#committedAt;
  }

  /** Why nothing can be written, as far as the latest commits tell; null when they succeeded. */
  get failure(): CommitFailure | null {
    const isOver = this.#committedAt > this.#failedAt && this.#now() - this.#failedAt >= FAILURE_HOLDS_MS;
    return isOver ? null : this.#failure;
  }

  committed(): void {
    this.#commits++;
    this.#committedAt = this.#now();
  }

  /** What SQL refuses, and a lock that another process holds, says nothing about the disk. */
  failed(failure: CommitFailure): void {
    if (failure === "internal" || failure === "busy") return;
    this.#failedAt = this.#now();
    this.#failure = failure;
  }
}
