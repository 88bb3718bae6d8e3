import type { EpochMs } from "../../../core/clock.ts";

/** The last time a rule told somebody, by the receipt of the event that made it. */
export interface Firing {
  readonly at: EpochMs;
  readonly notificationId: string;
  /** The event's; 0 where that is gone. */
  readonly seq: number;
}

/** What is known of firings before the first one that is noted. */
export type EarlierFiring = (ruleId: string, dedupeKey: string | null) => Firing | null;

/** When each rule, or each of its dedupe keys, fired last; for rules with a dedupe or a cooldown. */
export class Firings {
  readonly #known = new Map<string, Firing | null>();
  readonly #earlier: EarlierFiring;
  readonly #capacity: number;

  /** @param capacity rules and keys that are remembered; of the others `earlier` has to know. */
  constructor(earlier: EarlierFiring, capacity: number) {
    this.#earlier = earlier;
    this.#capacity = capacity;
  }

  last(ruleId: string, dedupeKey: string | null): Firing | null {
    const name = nameOf(ruleId, dedupeKey);
    let firing = this.#known.get(name);
    if (firing === undefined) {
      firing = this.#earlier(ruleId, dedupeKey);
      this.#put(name, firing);
    }
    return firing;
  }

  /**
   * The one whose event came last stays: another may be decided behind it, out of its turn.
   * @param isAsked whether the rule asks for it as it is now. What it asked for before is kept right all the same: it may do so again.
   */
  note(ruleId: string, dedupeKey: string | null, firing: Firing, isAsked: boolean): void {
    const name = nameOf(ruleId, dedupeKey);
    const known = this.#known.get(name);
    if ((isAsked || known !== undefined) && (known?.seq ?? 0) <= firing.seq) this.#put(name, firing);
    // Without a key a rule is asked for its firings of all keys.
    if (dedupeKey !== null) this.note(ruleId, null, firing, false);
  }

  /** A firing was not written after all. What came before it has been by now. */
  forget(ruleId: string, dedupeKey: string | null, notificationId: string): void {
    const name = nameOf(ruleId, dedupeKey);
    if (this.#known.get(name)?.notificationId === notificationId) this.#known.delete(name);
    if (dedupeKey !== null) this.forget(ruleId, null, notificationId);
  }

  clear(): void {
    this.#known.clear();
  }

  /** The oldest goes first: what it told has long been written. */
  #put(name: string, firing: Firing | null): void {
    this.#known.delete(name);
    if (this.#known.size >= this.#capacity) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#known.set(name, firing);
  }
}

function nameOf(ruleId: string, dedupeKey: string | null): string {
  return dedupeKey === null ? ruleId : `${ruleId} ${dedupeKey}`;
}
