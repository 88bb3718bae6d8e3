import type { Clock } from "../../base/clock.ts";
import { PrismError } from "../../base/errors.ts";

const WINDOW_MS = 15 * 60_000;
const FREE_FAILURES = 5;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = WINDOW_MS;
const NAME_FAILURES = 50;
const ADDRESS_FAILURES = 30;
const KNOWN_PAIR_MS = 30 * 24 * 3_600_000;
const MAX_ENTRIES = 200_000;

/** Failures that count together. */
interface Failures {
  count: number;
  /** When the window began, or for a pair, when the last failure was. */
  at: number;
}

/**
 * Slows down guessing (contract 4.4). Counted in memory by login name as it was typed, existing or not, and answered alike for right and wrong
 * passwords (D54): after five failures a (name, address) pair waits one second, doubling to a quarter of an hour; a name is closed after fifty
 * failures from anywhere in a quarter of an hour, but for pairs that have succeeded lately; an address after thirty.
 *
 * An attempt counts as a failure from its beginning, so that guesses sent side by side are counted too.
 */
export class LoginBackoff {
  readonly #clock: Clock;
  readonly #maxEntries: number;
  readonly #pairs = new Map<string, Failures>();
  readonly #names = new Map<string, Failures>();
  readonly #addresses = new Map<string, Failures>();
  readonly #knownPairs = new Map<string, number>();

  constructor(clock: Clock, maxEntries = MAX_ENTRIES) {
    this.#clock = clock;
    this.#maxEntries = maxEntries;
  }

  /** An attempt begins; it counts as failed until {@link succeeded}. @throws RATE_LIMITED with the time to wait */
  begin(name: string, address: string): void {
    const now = this.#clock.now();
    const pair = pairKey(name, address);
    const waitMs = Math.max(
      this.#pairWait(pair, now),
      this.#addressWait(address, now),
      this.#nameWait(name, pair, now),
    );
    if (waitMs > 0) throw new PrismError("RATE_LIMITED", "Too many attempts; wait", { retryAfterMs: waitMs });
    const failures = this.#touch(this.#pairs, pair, now);
    failures.count++;
    failures.at = now;
    this.#inWindow(this.#names, name, now).count++;
    this.#inWindow(this.#addresses, address, now).count++;
  }

  succeeded(name: string, address: string): void {
    const now = this.#clock.now();
    const pair = pairKey(name, address);
    this.#pairs.delete(pair);
    for (const failures of [this.#names.get(name), this.#addresses.get(address)]) {
      if (failures && failures.count > 0) failures.count--;
    }
    this.#knownPairs.delete(pair);
    this.#knownPairs.set(pair, now);
    trim(this.#knownPairs, this.#maxEntries);
  }

  /** The attempt was no guess: it was refused before a password was looked at. */
  withdrawn(name: string, address: string): void {
    const all = [this.#pairs.get(pairKey(name, address)), this.#names.get(name), this.#addresses.get(address)];
    for (const failures of all) if (failures && failures.count > 0) failures.count--;
  }

  /** Opens everything that was closed (`prism user unlock`). */
  clear(): void {
    this.#pairs.clear();
    this.#names.clear();
    this.#addresses.clear();
  }

  #pairWait(pair: string, now: number): number {
    const failures = this.#pairs.get(pair);
    if (!failures || failures.count < FREE_FAILURES) return 0;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(30, failures.count - FREE_FAILURES));
    return failures.at + wait - now;
  }

  #addressWait(address: string, now: number): number {
    const failures = this.#addresses.get(address);
    return failures && failures.count >= ADDRESS_FAILURES ? failures.at + WINDOW_MS - now : 0;
  }

  #nameWait(name: string, pair: string, now: number): number {
    const failures = this.#names.get(name);
    if (!failures || failures.count < NAME_FAILURES) return 0;
    const knownAt = this.#knownPairs.get(pair);
    return knownAt !== undefined && knownAt > now - KNOWN_PAIR_MS ? 0 : failures.at + WINDOW_MS - now;
  }

  #inWindow(table: Map<string, Failures>, key: string, now: number): Failures {
    const failures = this.#touch(table, key, now);
    if (now - failures.at >= WINDOW_MS) {
      failures.count = 0;
      failures.at = now;
    }
    return failures;
  }

  /** The entry, made if need be, as the youngest of its table. */
  #touch(table: Map<string, Failures>, key: string, now: number): Failures {
    const failures = table.get(key) ?? { count: 0, at: now };
    table.delete(key);
    table.set(key, failures);
    trim(table, this.#maxEntries);
    return failures;
  }
}

/** A tab stands in no login name. */
function pairKey(name: string, address: string): string {
  return `${name}\t${address}`;
}

/** Lets go of the oldest: a Map keeps the order in which its keys were set. */
function trim(table: Map<string, unknown>, maxEntries: number): void {
  for (const key of table.keys()) {
    if (table.size <= maxEntries) return;
    table.delete(key);
  }
}
