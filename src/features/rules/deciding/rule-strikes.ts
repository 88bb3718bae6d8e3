const WINDOW_MS = 60_000;
const STRIKES = 10;

interface Count {
  readonly sinceMs: number;
  strikes: number;
}

/** Counts the events on which a rule's condition took too long. */
export class RuleStrikes {
  readonly #counts = new Map<string, Count>();

  /** @param at receipt of the event, epoch ms. @returns whether the rule has had as many within a minute as a rule may have. */
  add(ruleId: string, at: number): boolean {
    const known = this.#counts.get(ruleId);
    const count = known && Math.abs(at - known.sinceMs) < WINDOW_MS ? known : { sinceMs: at, strikes: 0 };
    count.strikes += 1;
    this.#counts.set(ruleId, count);
    return count.strikes >= STRIKES;
  }

  forget(ruleId: string): void {
    this.#counts.delete(ruleId);
  }
}
