import type { Database as Sqlite } from "better-sqlite3";
import type { EpochMs } from "../../../core/time/clock.ts";
import { seriesKey } from "./settings.ts";

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
  /** At most as many as the rule's threshold. */
  readonly instants: Instants;
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
    return isLate ? Math.max(at, this.#of(ruleId, key, window).instants.newest ?? at) : at;
  }

  /** Matches within the window with one more at this instant. */
  sumWith(ruleId: string, key: string, window: Window, at: EpochMs): number {
    return this.sum(ruleId, key, window, at) + 1;
  }

  /** Matches within the window that ends at this instant. */
  sum(ruleId: string, key: string, window: Window, at: EpochMs): number {
    return this.#of(ruleId, key, window).instants.sum(at, window.windowMs);
  }

  /** A match counts towards the threshold. */
  add(ruleId: string, key: string, window: Window, at: EpochMs, seq: number): void {
    const counted = this.#of(ruleId, key, window);
    const { instants } = counted;
    this.#size -= instants.length;
    instants.push(at, window);
    this.#size += instants.length;
    this.#touch(ruleId, key, counted, seq);
    this.#evict(seq);
  }

  /** The rule has passed, or its alert is resolved: counting starts again. */
  clear(ruleId: string, key: string, window: Window, seq: number): void {
    const counted = this.#of(ruleId, key, window);
    this.#size -= counted.instants.length;
    counted.instants.clear();
    this.#touch(ruleId, key, counted, seq);
  }

  /** A rule has changed: another window needs other matches. */
  forget(ruleId: string): void {
    for (const name of this.#counted.keys()) if (name.startsWith(`${ruleId} `)) this.#delete(name);
  }

  /** The matches of a key are read again when they are needed. */
  forgetKey(ruleId: string, key: string): void {
    this.#delete(seriesKey(ruleId, key));
  }

  reset(): void {
    this.#counted.clear();
    this.#size = 0;
  }

  #of(ruleId: string, key: string, window: Window): Counted {
    const name = seriesKey(ruleId, key);
    const known = this.#counted.get(name);
    if (known) return known;
    const earlier = this.#earlier(ruleId, key, window.count);
    const passed = earlier.findIndex(({ isCounted }) => isCounted === 0);
    const instants = new Instants();
    for (const { at } of earlier.slice(0, passed === -1 ? earlier.length : passed).reverse()) instants.push(at, window);
    const read: Counted = { instants, lastSeq: 0 };
    this.#counted.set(name, read);
    this.#size += read.instants.length + 1;
    return read;
  }

  #touch(ruleId: string, key: string, counted: Counted, seq: number): void {
    counted.lastSeq = Math.max(counted.lastSeq, seq);
    const name = seriesKey(ruleId, key);
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

/** Entries that are skipped at the head before the array is shortened. */
const COMPACT_FROM = 64;

/**
 * Instants of matches in the order of their decisions. Only those after the last one outside the
 * window count, so a large step of the clock starts the count again.
 */
class Instants {
  #at: EpochMs[] = [];
  /** Earlier entries no longer count. */
  #head = 0;
  /** Index of the last entry that is earlier than the one before it: the clock was set back. */
  #step = 0;

  get length(): number {
    return this.#at.length - this.#head;
  }

  get newest(): EpochMs | undefined {
    return this.#at.at(-1);
  }

  sum(at: EpochMs, windowMs: number): number {
    return this.#at.length - this.#firstWithin(at, windowMs);
  }

  push(at: EpochMs, { count, windowMs }: Window): void {
    const { newest } = this;
    this.#head = Math.max(this.#firstWithin(at, windowMs), this.#at.length - count + 1);
    if (newest !== undefined && at < newest) this.#step = this.#at.length;
    this.#at.push(at);
    if (this.#head < COMPACT_FROM || this.#head * 2 < this.#at.length) return;
    this.#at = this.#at.slice(this.#head);
    this.#step = Math.max(0, this.#step - this.#head);
    this.#head = 0;
  }

  clear(): void {
    this.#at = [];
    this.#head = 0;
    this.#step = 0;
  }

  #firstWithin(at: EpochMs, windowMs: number): number {
    const isAscending = this.#head >= this.#step && at >= (this.newest ?? at);
    if (!isAscending)
      return Math.max(this.#head, this.#at.findLastIndex((instant) => Math.abs(at - instant) >= windowMs) + 1);
    let low = this.#head;
    let high = this.#at.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (at - (this.#at[middle] ?? at) >= windowMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
