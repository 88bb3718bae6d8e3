/** After shorter transactions the sets that wait go first, and no more. */
const SHORT_MS = 4;
/** The largest share. */
const MOST_MS = 50;
/** A client that waits for each answer has sent its next request by then. */
const NEXT_REQUEST_MS = 1;
const NEXT_REQUEST_TURNS = 2;
/** A set counts as this at least, so that every share ends. */
const LEAST_MS = 0.1;

/**
 * Sets that waited while transactions had the writer for long get it for as long as those had it. Otherwise one
 * set would follow each transaction, however long: beside 5000 incidents at once ingest had 0.15 of its idle rate,
 * and has 0.43 this way.
 */
export class ShareOfSets {
  /** What is left of the share. */
  #leftMs = 0;
  /** Of the writer, up to the latest commit. */
  #spentMs = 0;
  #answeredAt = 0;
  /** Turns of the event loop that a transaction has waited for the next set. */
  #turns = 0;

  /** Transactions have had the writer for so long. @param spentMs working time of the writer since its start */
  transactionsEnded(heldMs: number, areSetsWaiting: boolean, spentMs: number): void {
    this.#leftMs = areSetsWaiting && heldMs >= SHORT_MS ? Math.min(heldMs, MOST_MS) : 0;
    this.#spentMs = spentMs;
  }

  /** @param now by `performance.now()` */
  setAnswered(now: number, spentMs: number): void {
    this.#leftMs -= Math.max(LEAST_MS, spentMs - this.#spentMs);
    this.#spentMs = spentMs;
    this.#answeredAt = now;
    this.#turns = 0;
  }

  /** Whether sets go first. */
  get isLeft(): boolean {
    return this.#leftMs > 0;
  }

  /**
   * Asked in each turn of the event loop in which a transaction could begin and no set is there: whether it waits
   * for another turn. Clients have their answers just now and may send again. If they do not, the share ends.
   */
  waitsForNext(): boolean {
    if (!this.isLeft) return false;
    if (this.#turns++ < NEXT_REQUEST_TURNS || performance.now() < this.#answeredAt + NEXT_REQUEST_MS) return true;
    this.#leftMs = 0;
    return false;
  }
}
