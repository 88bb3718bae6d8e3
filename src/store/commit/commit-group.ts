import { type Deferred, deferred } from "../../core/promises.ts";

/**
 * Transactions of one commit: the first ones wait for the others no longer than for a commit of
 * their own.
 */
const MAX_MEMBERS = 64;
export const MAX_OPEN_MS = 15;

interface Ended {
  readonly afterCommit: () => void;
  readonly onDisk: Deferred<void>;
}

/**
 * Transactions that run one after the other and share one commit. Each has the writer alone while
 * it runs; when it has ended it waits until the commit of all is on disk. One that fails takes back
 * only what it wrote itself.
 */
export class CommitGroup {
  readonly #openedAt = performance.now();
  readonly #sharesCommit: boolean;
  readonly #maxOpenMs: number;
  #granted = 0;
  #ended: Ended[] = [];
  /** The writer has a transaction open for it. */
  hasTransaction = false;

  /**
   * @param sharesCommit false: it has one transaction only. @param maxOpenMs after which none joins
   * any more
   */
  constructor(sharesCommit: boolean, maxOpenMs: number) {
    this.#sharesCommit = sharesCommit;
    this.#maxOpenMs = maxOpenMs;
  }

  /** Whether another transaction may join. */
  get hasRoom(): boolean {
    const isYoung = performance.now() - this.#openedAt < this.#maxOpenMs;
    return this.#sharesCommit && this.#granted < MAX_MEMBERS && isYoung;
  }

  /** The transaction that runs now is the first. */
  get isFirst(): boolean {
    return this.#granted === 1;
  }

  granted(): void {
    this.#granted++;
  }

  /**
   * A transaction has written all it has to. Resolves when it is on disk. @param afterCommit called
   * then, in the order of the calls
   */
  ended(afterCommit: () => void): Promise<void> {
    const onDisk = deferred<void>();
    this.#ended.push({ afterCommit, onDisk });
    return onDisk.promise;
  }

  get hasEnded(): boolean {
    return this.#ended.length > 0;
  }

  committed(): void {
    this.hasTransaction = false;
    const ended = this.#ended.splice(0);
    for (const { afterCommit } of ended) afterCommit();
    for (const { onDisk } of ended) onDisk.resolve();
  }

  failed(error: unknown): void {
    this.hasTransaction = false;
    for (const { onDisk } of this.#ended.splice(0)) onDisk.reject(error);
  }
}
