import { addressGroup } from "./client-address.ts";
import type { Exchange } from "./exchange.ts";

/** Part of the budget that requests without valid credentials share. The rest is for callers that are known. */
const ANONYMOUS_SHARE = 1 / 8;
/** Enough for the largest body of a public route, however small the budget is. */
const ANONYMOUS_FLOOR_BYTES = 2_097_152;

/** Bytes of request bodies that one caller has at hand. */
export interface BodyAccount {
  readonly key: string;
  readonly isAnonymous: boolean;
  bytes: number;
}

/** What a request's body is counted by: its principal, its signer, or without valid credentials its address. */
function accountKey({ principal, signerKey, clientAddress }: Exchange): { key: string; isAnonymous: boolean } {
  const key = principal?.key ?? signerKey;
  return key === null ? { key: `ip:${addressGroup(clientAddress)}`, isAnonymous: true } : { key, isAnonymous: false };
}

/**
 * The bytes of all request bodies at hand. One caller may hold at most as much as is still free: alone it gets half of the budget, and
 * however much callers take, the next one finds room. Callers without valid credentials share an eighth, by the same rule.
 */
export class BodyBudget {
  readonly #totalBytes: number;
  readonly #anonymousBytes: number;
  readonly #accounts = new Map<string, BodyAccount>();
  #usedBytes = 0;
  #anonymousUsedBytes = 0;

  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes;
    this.#anonymousBytes = Math.min(totalBytes, Math.max(totalBytes * ANONYMOUS_SHARE, ANONYMOUS_FLOOR_BYTES));
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The account of the request's caller; to be asked for before the exchange is over. */
  accountOf(exchange: Exchange): BodyAccount {
    const { key, isAnonymous } = accountKey(exchange);
    return this.#accounts.get(key) ?? { key, isAnonymous, bytes: 0 };
  }

  /** @returns false, and counts nothing, when the caller may not hold this many bytes more. */
  reserve(account: BodyAccount, bytes: number): boolean {
    // Two requests of one caller may have asked for its account before either held a byte.
    const own = this.#accounts.get(account.key) ?? account;
    let freeBytes = this.#totalBytes - this.#usedBytes;
    if (own.isAnonymous) freeBytes = Math.min(freeBytes, this.#anonymousBytes - this.#anonymousUsedBytes);
    if (own.bytes + bytes > freeBytes) return false;
    this.#accounts.set(own.key, own);
    this.#add(own, bytes);
    return true;
  }

  /** Gives back what {@link reserve} has taken. */
  release(account: BodyAccount, bytes: number): void {
    if (bytes === 0) return;
    const own = this.#accounts.get(account.key) ?? account;
    this.#add(own, -bytes);
    if (own.bytes === 0) this.#accounts.delete(own.key);
  }

  #add(account: BodyAccount, bytes: number): void {
    account.bytes += bytes;
    this.#usedBytes += bytes;
    if (account.isAnonymous) this.#anonymousUsedBytes += bytes;
  }
}
