import { type DeferredPromise, deferred } from "../../core/promises.ts";
import type { Effect } from "../effect.ts";

/** Limit of transactions in one commit, so that the first ones do not wait for long. */
const MAX_MEMBERS = 64;
export const MAX_OPEN_MS = 15;

interface Ended {
  readonly effects: readonly Effect[];
  readonly afterCommit: () => void;
  readonly onDisk: DeferredPromise<void>;
}

/**
 * Transactions that run one after the other and share one commit. Each has exclusive use of the
 * writer while it runs, then waits until the shared commit is on disk. A failed one rolls back only
 * its own writes.
 */
export class CommitGroup {
  readonly #openedAt = performance.now();
  readonly #sharesCommit: boolean;
  #granted = 0;
  #ended: Ended[] = [];
  /** The answers of the writer to the ends of the transactions. */
  readonly #answers: Promise<unknown>[] = [];
  /** The writer has an open transaction for the group. */
  hasTransaction = false;

  /** @param sharesCommit false limits the group to one transaction */
  constructor(sharesCommit: boolean) {
    this.#sharesCommit = sharesCommit;
  }

  get openMs(): number {
    return performance.now() - this.#openedAt;
  }

  /** Of each transaction that has ended, in their order. */
  get effects(): (readonly Effect[])[] {
    return this.#ended.map(({ effects }) => effects);
  }

  /** Whether another transaction may join. @param maxOpenMs time after which none does */
  hasRoom(maxOpenMs: number): boolean {
    return this.#sharesCommit && this.#granted < MAX_MEMBERS && this.openMs < maxOpenMs;
  }

  granted(): void {
    this.#granted++;
  }

  /**
   * The running transaction has sent everything. Resolves when it is on disk.
   * @param afterCommit called then, in the order of the calls
   * @param answer rejects when the writer has rolled back this transaction alone
   */
  ended(effects: readonly Effect[], afterCommit: () => void, answer: Promise<unknown>): Promise<void> {
    const member: Ended = { effects, afterCommit, onDisk: deferred<void>() };
    this.#ended.push(member);
    const taken = answer.catch((error: unknown) => {
      this.#ended = this.#ended.filter((each) => each !== member);
      member.onDisk.reject(error);
    });
    this.#answers.push(taken);
    return member.onDisk.promise;
  }

  /** To be called when the writer has answered the commit, so that it has answered all before it. */
  async committed(): Promise<void> {
    await Promise.all(this.#answers);
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
