import type { Database as Sqlite } from "better-sqlite3";
import type { EpochMs } from "../../../core/clock.ts";

export interface Window {
  readonly count: number;
  readonly windowMs: number;
}

/** A counted match, newest first. */
interface StoredMatch {
  readonly at: EpochMs;
  readonly isCounted: 0 | 1;
}

/** Matches of a rule and key before the first one in memory, newest first. */
export type EarlierMatches = (ruleId: string, key: string, limit: number) => readonly StoredMatch[];

/** For replaying past events without their stored decisions. */
export const NO_EARLIER_MATCHES: EarlierMatches = () => [];

/** Decisions of rules over time have the key they count under. */
export function storedMatches(reader: Sqlite): EarlierMatches {
  const query = reader.prepare<[string, string, number], StoredMatch>(
    `select e.receivedAt as at, d.outcome = 'counted' as isCounted
     from decisions d cross join events e on e.seq = d.eventSeq
     where d.ruleId = ? and d.key = ? order by d.eventSeq desc limit ?`,
  );
  return (ruleId, key, limit) => query.all(ruleId, key, limit);
}

/** Instants in memory, of all rules and keys together. */
const MAX_INSTANTS = 500_000;
/** A key that counted among the last events may not be in the tables yet: it is not evicted. */
const UNWRITTEN_EVENTS = 10_000;

interface Counted {
  /** In the order of the decisions, at most as many as the rule's threshold. */
  readonly instants: EpochMs[];
  lastSeq: number;
}

/**
 * The matches of each rule and key that count towards its threshold: those since the rule last
 * passed. Exact and by receipt of the events, so a late decision, a restart and a backtest give the
 * same result. Over tables it is a cache of `decisions` that includes the sets in flight:
 * {@link reset} it after such a set has failed.
 */
export class MatchCounts {
  readonly #counted = new Map<string, Counted>();
  readonly #earlier: EarlierMatches;
  readonly #capacity: number;
  #size = 0;

  constructor(earlier: EarlierMatches, capacity = MAX_INSTANTS) {
    this.#earlier = earlier;
    this.#capacity = capacity;
  }

  /**
   * When a match counts: an event that is decided late counts with the newest ones, because its own
   * time could lie before their window.
   */
  countsAt(ruleId: string, key: string, window: Window, at: EpochMs, isLate: boolean): EpochMs {
    return isLate ? Math.max(at, this.#of(ruleId, key, window).instants.at(-1) ?? at) : at;
  }

  /** Matches within the window with one more at this instant. */
  sumWith(ruleId: string, key: string, window: Window, at: EpochMs): number {
    const { instants } = this.#of(ruleId, key, window);
    return instants.length - firstWithin(instants, at, window.windowMs) + 1;
  }

  /** A match counts towards the threshold. */
  add(ruleId: string, key: string, window: Window, at: EpochMs, seq: number): void {
    const counted = this.#of(ruleId, key, window);
    const { instants } = counted;
    this.#size -= instants.length;
    push(instants, window, at);
    this.#size += instants.length;
    this.#touch(ruleId, key, counted, seq);
    this.#evict(seq);
  }

  /** The rule has passed, or its alert is resolved: counting starts again. */
  clear(ruleId: string, key: string, window: Window, seq: number): void {
    const counted = this.#of(ruleId, key, window);
    this.#size -= counted.instants.length;
    counted.instants.length = 0;
    this.#touch(ruleId, key, counted, seq);
  }

  /** A rule has changed: another window needs other matches. */
  forget(ruleId: string): void {
    for (const name of this.#counted.keys()) if (name.startsWith(`${ruleId} `)) this.#delete(name);
  }

  reset(): void {
    this.#counted.clear();
    this.#size = 0;
  }

  #of(ruleId: string, key: string, window: Window): Counted {
    const name = nameOf(ruleId, key);
    const known = this.#counted.get(name);
    if (known) return known;
    const earlier = this.#earlier(ruleId, key, window.count);
    const passed = earlier.findIndex(({ isCounted }) => isCounted === 0);
    const instants: EpochMs[] = [];
    for (const { at } of earlier.slice(0, passed === -1 ? earlier.length : passed).reverse())
      push(instants, window, at);
    const read: Counted = { instants, lastSeq: 0 };
    this.#counted.set(name, read);
    this.#size += read.instants.length + 1;
    return read;
  }

  #touch(ruleId: string, key: string, counted: Counted, seq: number): void {
    counted.lastSeq = Math.max(counted.lastSeq, seq);
    const name = nameOf(ruleId, key);
    this.#counted.delete(name);
    this.#counted.set(name, counted);
  }

  /** Evicts the keys that counted least recently. */
  #evict(seq: number): void {
    if (this.#size <= this.#capacity) return;
    for (const [name, { lastSeq }] of this.#counted) {
      if (this.#size <= this.#capacity || (lastSeq !== 0 && lastSeq > seq - UNWRITTEN_EVENTS)) return;
      this.#delete(name);
    }
  }

  #delete(name: string): void {
    const counted = this.#counted.get(name);
    if (counted === undefined) return;
    this.#size -= counted.instants.length + 1;
    this.#counted.delete(name);
  }
}

function nameOf(ruleId: string, key: string): string {
  return `${ruleId} ${key}`;
}

/** Only the matches after the last one outside the window count, so a large step of the clock resets it. */
function firstWithin(instants: readonly EpochMs[], at: EpochMs, windowMs: number): number {
  return instants.findLastIndex((instant) => Math.abs(at - instant) >= windowMs) + 1;
}

function push(instants: EpochMs[], { count, windowMs }: Window, at: EpochMs): void {
  instants.splice(0, Math.max(firstWithin(instants, at, windowMs), instants.length - count + 1));
  instants.push(at);
}
