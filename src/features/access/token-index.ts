import { hashToken } from "../../core/crypto/tokens.ts";
import type { EpochMs } from "../../core/time/clock.ts";

/** A row with the hash of its token, and that of a replaced one, which is valid until `previousUntil`. */
interface TokenRow {
  readonly id: string;
  readonly hash: string;
  readonly previousHash: string | null;
  readonly previousUntil: EpochMs | null;
}

/**
 * What rows of a table are in memory, by the hashes of their tokens: a request reads no table to find its
 * row. Effects of commits keep it current.
 */
export class TokenIndex<R extends TokenRow, T extends { readonly row: R }> {
  readonly byId = new Map<string, T>();
  readonly #byHash = new Map<string, T>();
  readonly #make: (row: R) => T;

  constructor(make: (row: R) => T) {
    this.#make = make;
  }

  /** A commit has changed rows. */
  changed({ changed = [], deleted = [] }: { readonly changed?: readonly R[]; readonly deleted?: readonly string[] }) {
    for (const id of [...changed.map((row) => row.id), ...deleted]) this.#forget(id);
    for (const row of changed) {
      const made = this.#make(row);
      this.byId.set(row.id, made);
      this.#byHash.set(row.hash, made);
      if (row.previousHash !== null) this.#byHash.set(row.previousHash, made);
    }
  }

  /** What has this token, also a replaced one that still works. */
  find(token: string, now: EpochMs): T | undefined {
    const hash = hashToken(token);
    const found = this.#byHash.get(hash);
    return found && (found.row.hash === hash || now < (found.row.previousUntil ?? 0)) ? found : undefined;
  }

  #forget(id: string): void {
    const known = this.byId.get(id);
    if (!known) return;
    this.byId.delete(id);
    for (const hash of [known.row.hash, known.row.previousHash])
      if (hash !== null && this.#byHash.get(hash) === known) this.#byHash.delete(hash);
  }
}
