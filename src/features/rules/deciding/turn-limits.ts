import type { Effects } from "../../../store/commit/write-set.ts";

/** Time for deciding in one seal; the rest is left to the consumer. */
const DECIDE_BUDGET_MS = 5;
const DECIDE_BUDGET_ROWS = 2000;

/** The decisions allowed in one seal, so that ingest never waits for a storm. */
export class Budget {
  readonly #until: number;
  #rows = 0;
  #isFirst = true;
  #isSpent: boolean;

  /** @param isSpent nothing may be decided here: older events come first. */
  constructor(isSpent: boolean) {
    this.#isSpent = isSpent;
    this.#until = performance.now() + DECIDE_BUDGET_MS;
  }

  /** Call it before each event. Once spent it stays spent, because events are decided in order. */
  isSpent(): boolean {
    // One event is always decided, however busy the machine is.
    if (this.#isFirst) this.#isFirst = false;
    else if (!this.#isSpent && performance.now() > this.#until) this.#isSpent = true;
    return this.#isSpent;
  }

  /** Ends deciding in this seal. */
  end(): void {
    this.#isFirst = false;
    this.#isSpent = true;
  }

  spend({ notifications, recipients }: Effects): void {
    this.#rows += notifications.length + recipients.length;
    if (this.#rows > DECIDE_BUDGET_ROWS) this.#isSpent = true;
  }
}

const SLICE_RULES = 500;
/** Limit of notifications and recipients per slice. One rule adds at most 200 recipients. */
export const SLICE_ROWS = 500;
/** Time limit of a slice, checked after the first rules. */
const SLICE_MS = 10;
/** A small event with few rules is decided in one slice, even when the machine is briefly busy. */
const TIMED_FROM_RULES = 16;
/** A template can render a large payload completely: a millisecond per rule. */
const LARGE_EVENT_BYTES = 16_384;
const LARGE_TIMED_FROM_RULES = 2;

/**
 * Limits the deciding of one event per turn of the loop. The remaining rules are decided in later
 * turns, in the same order: a thousand rules on one event delay each other and nothing more.
 */
export class Slice {
  readonly #until = performance.now() + SLICE_MS;
  readonly #timedFrom: number;
  #rules = 0;
  #rows = 0;

  constructor(eventBytes: number) {
    this.#timedFrom = eventBytes > LARGE_EVENT_BYTES ? LARGE_TIMED_FROM_RULES : TIMED_FROM_RULES;
  }

  /** A rule was decided. @param recipients rows of its notification; 0 without one. */
  add(recipients: number): void {
    this.#rules++;
    if (recipients > 0) this.#rows += recipients + 1;
  }

  isFull(): boolean {
    if (this.#rules >= SLICE_RULES || this.#rows >= SLICE_ROWS) return true;
    return this.#rules >= this.#timedFrom && performance.now() > this.#until;
  }
}
