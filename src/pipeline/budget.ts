import type { Effects } from "../store/write-set.ts";

/** What deciding may take of one seal before the rest is left to the consumer. */
const DECIDE_BUDGET_MS = 5;
const DECIDE_BUDGET_ROWS = 2000;
/** The clock is asked once per this many events. */
const BUDGET_STRIDE = 16;

/** How much deciding one seal may do: ingest never waits for a storm. */
export class Budget {
  readonly #until: number;
  #events = 0;
  #rows = 0;
  #isSpent: boolean;

  /** @param isSpent nothing may be decided here at all: older events wait for their turn. */
  constructor(isSpent: boolean) {
    this.#isSpent = isSpent;
    this.#until = performance.now() + DECIDE_BUDGET_MS;
  }

  /** To be asked before each event. Once spent it stays so, for events are decided in order. */
  isSpent(): boolean {
    if (!this.#isSpent && ++this.#events % BUDGET_STRIDE === 0 && performance.now() > this.#until) this.#isSpent = true;
    return this.#isSpent;
  }

  spend({ notifications, recipients }: Effects): void {
    this.#rows += notifications.length + recipients.length;
    if (this.#rows > DECIDE_BUDGET_ROWS) this.#isSpent = true;
  }
}
