import type { Effects } from "../../../store/commit/write-set.ts";

/** What deciding may take of one seal before the rest is left to the consumer. */
const DECIDE_BUDGET_MS = 5;
const DECIDE_BUDGET_ROWS = 2000;

/** How much deciding one seal may do: ingest never waits for a storm. */
export class Budget {
  readonly #until: number;
  #rows = 0;
  #isFirst = true;
  #isSpent: boolean;

  /** @param isSpent nothing may be decided here at all: older events wait for their turn. */
  constructor(isSpent: boolean) {
    this.#isSpent = isSpent;
    this.#until = performance.now() + DECIDE_BUDGET_MS;
  }

  /** To be asked before each event. Once spent it stays so, for events are decided in order. */
  isSpent(): boolean {
    // One is always decided, however busy the machine: an event on its own has nothing to wait for.
    if (this.#isFirst) this.#isFirst = false;
    else if (!this.#isSpent && performance.now() > this.#until) this.#isSpent = true;
    return this.#isSpent;
  }

  /** Nothing more is decided in this seal. */
  end(): void {
    this.#isFirst = false;
    this.#isSpent = true;
  }

  spend({ notifications, recipients }: Effects): void {
    this.#rows += notifications.length + recipients.length;
    if (this.#rows > DECIDE_BUDGET_ROWS) this.#isSpent = true;
  }
}
