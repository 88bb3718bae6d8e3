import type { EpochMs } from "../../base/clock.ts";

/** The last time a rule told somebody, by the receipt of the event that made it. */
export interface Firing {
  readonly at: EpochMs;
  readonly notificationId: string;
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

  note(ruleId: string, dedupeKey: string | null, firing: Firing): void {
    this.#put(nameOf(ruleId, dedupeKey), firing);
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
