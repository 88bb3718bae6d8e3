import { PrismError } from "../../../core/errors.ts";
import { recentlyUsed } from "../../../core/limits/ttl-cache.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { addressGroup, coarseAddressGroup } from "../../../http/server/headers.ts";

const WINDOW_MS = 15 * 60_000;
const FREE_FAILURES = 5;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = WINDOW_MS;
const NAME_FAILURES = 50;
const ADDRESS_FAILURES = 30;
/** An IPv6 /48 has 65 536 customer networks: together they have this multiple of one's limit. */
export const WIDE_NETWORK_FACTOR = 8;
export const KNOWN_PAIR_MS = 30 * 24 * 3_600_000;
const MAX_ENTRIES = 200_000;

interface Failures {
  count: number;
  /** Start of the window, or for a pair the time of the last failure. Elapsed ms. */
  at: number;
}

type Table<V extends {}> = ReturnType<typeof recentlyUsed<string, V>>;

/** @param names undefined: of all names and addresses */
type ClearCounters = (names?: readonly string[]) => void;

/** A login attempt. It counts as a failure until one of these is called. */
export interface LoginAttempt {
  succeeded(): void;
  /** The attempt was refused before a password was checked, so it does not count. */
  withdrawn(): void;
}

/**
 * Slows down password guessing. Failures are counted in memory by login name as typed, existing or
 * not; right and wrong passwords are treated alike. After five failures a (name, address) pair
 * waits one second, doubling up to a quarter of an hour. A name is blocked after fifty failures in
 * a quarter of an hour, an address after thirty.
 *
 * A pair with a success in the last thirty days is known: only its own failures count for it, so
 * that guesses from elsewhere never lock out the owner. Uses elapsed time: setting the clock has no
 * effect.
 */
export class LoginBackoff {
  readonly #clock: Clock;
  readonly #pairs: Table<Failures>;
  readonly #names: Table<Failures>;
  readonly #networks: Table<Failures>;
  readonly #knownPairs: Table<number>;
  readonly #others: ClearCounters[] = [];

  constructor(clock: Clock, maxEntries = MAX_ENTRIES) {
    this.#clock = clock;
    this.#pairs = recentlyUsed(maxEntries);
    this.#names = recentlyUsed(maxEntries);
    this.#networks = recentlyUsed(maxEntries);
    this.#knownPairs = recentlyUsed(maxEntries);
  }

  /** Starts an attempt. It counts as failed at first, so guesses add up. @throws RATE_LIMITED */
  begin(name: string, address: string): LoginAttempt {
    const now = this.#clock.elapsed();
    const isKnown = this.isKnown(name, address);
    const pair = pairKey(name, address);
    const networks = isKnown ? [] : networksOf(address);
    const waitMs = Math.max(
      this.#pairWait(pair, now),
      isKnown ? 0 : closedFor(this.#names.peek(name), NAME_FAILURES, now),
      ...networks.map(({ key, limit }) => closedFor(this.#networks.peek(key), limit, now)),
    );
    if (waitMs > 0) throw new PrismError("RATE_LIMITED", "Too many attempts; wait", { retryAfterMs: waitMs });
    const ofPair = failuresOf(this.#pairs, pair, now);
    const counted = networks.map(({ key }) => inWindow(this.#networks, key, now));
    if (!isKnown) counted.push(inWindow(this.#names, name, now));
    counted.push(ofPair);
    for (const failures of counted) failures.count++;
    ofPair.at = now;
    const withdrawn = (): void => forget(counted);
    const succeeded = (): void => {
      withdrawn();
      this.trust(name, address);
    };
    return { succeeded, withdrawn };
  }

  /** Whether the pair has had a success in the last thirty days, according to memory. */
  isKnown(name: string, address: string): boolean {
    const at = this.#knownPairs.peek(pairKey(name, address));
    return at !== undefined && at > this.#clock.elapsed() - KNOWN_PAIR_MS;
  }

  /** The owner of the name was at this address: the pair is known, and its failures are cleared. */
  trust(name: string, address: string): void {
    this.#pairs.delete(pairKey(name, address));
    this.recall(name, address);
  }

  /** Marks the pair as known from an earlier session; its failures still count. */
  recall(name: string, address: string): void {
    this.#knownPairs.set(pairKey(name, address), this.#clock.elapsed());
  }

  /** Clears all failures (`prism user unlock`). */
  clear(): void {
    this.#pairs.clear();
    this.#names.clear();
    this.#networks.clear();
    for (const clear of this.#others) clear();
  }

  /** Clears the failures of some names, from all addresses. Visits all counters. */
  forget(names: readonly string[]): void {
    for (const name of names) this.#names.delete(name);
    for (const pair of [...this.#pairs.keys()])
      if (names.some((name) => pair.startsWith(`${name}\t`))) this.#pairs.delete(pair);
    for (const clear of this.#others) clear(names);
  }

  /** Further counters of logins, which {@link clear} and {@link forget} clear too. */
  clearsAlso(clear: ClearCounters): void {
    this.#others.push(clear);
  }

  #pairWait(pair: string, now: number): number {
    const failures = this.#pairs.peek(pair);
    if (!failures || failures.count < FREE_FAILURES) return 0;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(30, failures.count - FREE_FAILURES));
    return failures.at + wait - now;
  }
}

/** The failures of the current window. */
function inWindow(table: Table<Failures>, key: string, now: number): Failures {
  const failures = failuresOf(table, key, now);
  if (now - failures.at >= WINDOW_MS) {
    failures.count = 0;
    failures.at = now;
  }
  return failures;
}

function failuresOf(table: Table<Failures>, key: string, now: number): Failures {
  const failures = table.get(key) ?? { count: 0, at: now };
  table.set(key, failures);
  return failures;
}

/** How long a full window stays closed, in ms; 0 or less: it is open. */
function closedFor(failures: Failures | undefined, limit: number, now: number): number {
  return failures && failures.count >= limit ? failures.at + WINDOW_MS - now : 0;
}

function forget(counted: readonly Failures[]): void {
  for (const failures of counted) if (failures.count > 0) failures.count--;
}

/** No login name contains a tab. */
function pairKey(name: string, address: string): string {
  return `${name}\t${addressGroup(address)}`;
}

/** The keys that count an address, with their limits: for IPv6 also its wider network. */
function networksOf(address: string): { readonly key: string; readonly limit: number }[] {
  const own = { key: addressGroup(address), limit: ADDRESS_FAILURES };
  if (!address.includes(":")) return [own];
  return [own, { key: `wide ${coarseAddressGroup(address)}`, limit: ADDRESS_FAILURES * WIDE_NETWORK_FACTOR }];
}
