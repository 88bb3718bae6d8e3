import { durationText } from "../../http/api/file-form.ts";

const MAX_RULES = 10;

/** Contact rules of a person: what is used after which time. */
export class ContactWays {
  readonly #ways: Record<"high" | "low", Map<number, Set<string>>> = { high: new Map(), low: new Map() };

  add(urgency: "high" | "low", afterMs: number, way: string): void {
    const ways = this.#ways[urgency];
    ways.set(afterMs, (ways.get(afterMs) ?? new Set()).add(way));
  }

  /** Whether a way is used that the person adds as a channel. */
  get hasService(): boolean {
    return Object.values(this.#ways).some((ways) => [...ways.values()].some((each) => each.has("service")));
  }

  /** Null: there are none. @param note is told of what is left out */
  document(note: (text: string) => void): object | null {
    if (Object.values(this.#ways).some((ways) => ways.size > MAX_RULES))
      note(`has more than ${MAX_RULES} contact rules of one urgency; the first ${MAX_RULES} were taken`);
    const listed = (ways: ReadonlyMap<number, ReadonlySet<string>>) =>
      [...ways]
        .sort(([a], [b]) => a - b)
        .slice(0, MAX_RULES)
        .map(([after, channels]) => ({ after: durationText(after), channels: [...channels].sort() }));
    const [high, low] = [listed(this.#ways.high), listed(this.#ways.low)];
    return high.length + low.length === 0 ? null : { high, low };
  }
}
