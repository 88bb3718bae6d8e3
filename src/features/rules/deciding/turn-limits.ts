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

/** Rules that one slice decides. */
const SLICE_RULES = 500;
/** Notifications and recipients that one slice makes. One rule has at most 200 recipients more. */
export const SLICE_ROWS = 500;
/** Time that one slice takes of the loop, looked at after the first rules. */
const SLICE_MS = 10;
/** A small event of few rules is decided whole, even when the machine is busy for a moment. */
const TIMED_FROM_RULES = 16;
/** A template can render a large payload as a whole: a millisecond for each rule. */
const LARGE_EVENT_BYTES = 16_384;
const LARGE_TIMED_FROM_RULES = 2;

/**
 * How much of one event is decided in one turn of the loop. The rules beyond it are decided in
 * later turns, in the same order: a thousand rules on one event delay each other, but nothing else.
 */
export class Slice {
  readonly #until = performance.now() + SLICE_MS;
  readonly #timedFrom: number;
  #rules = 0;
  #rows = 0;

  constructor(eventBytes: number) {
    this.#timedFrom = eventBytes > LARGE_EVENT_BYTES ? LARGE_TIMED_FROM_RULES : TIMED_FROM_RULES;
  }

  /** A rule was decided. @param recipients rows of a notification; 0 for a rule that made none. */
  add(recipients: number): void {
    this.#rules++;
    if (recipients > 0) this.#rows += recipients + 1;
  }

  isFull(): boolean {
    if (this.#rules >= SLICE_RULES || this.#rows >= SLICE_ROWS) return true;
    return this.#rules >= this.#timedFrom && performance.now() > this.#until;
  }
}
