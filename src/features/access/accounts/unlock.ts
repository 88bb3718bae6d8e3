import type { Database as Sqlite } from "better-sqlite3";
import { uuidv7 } from "../../../core/ids.ts";
import type { Trx } from "../../../store/database.ts";
import type { LoginBackoff } from "./login-backoff.ts";

const KEY = "auth.unlock";

/** Asks the server on this database, if one runs, to forget failed logins: it counts them in memory. */
export async function requestUnlock(trx: Trx, now: number): Promise<void> {
  const value = uuidv7();
  await trx
    .insertInto("settings")
    .values({ key: KEY, value, updatedAt: now })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value, updatedAt: now }))
    .execute();
}

/** The server's end of {@link requestUnlock}. */
export class UnlockWatch {
  readonly #backoff: LoginBackoff;
  readonly #find;
  #seen: string | undefined;

  constructor(reader: Sqlite, backoff: LoginBackoff) {
    this.#backoff = backoff;
    this.#find = reader.prepare<[string], { value: string }>("select value from settings where key = ?");
    this.#seen = this.#read();
  }

  /** To be called when another process has written. */
  check(): void {
    const asked = this.#read();
    if (asked === this.#seen) return;
    this.#seen = asked;
    this.#backoff.clear();
  }

  #read(): string | undefined {
    return this.#find.get(KEY)?.value;
  }
}
