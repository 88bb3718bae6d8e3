import type { Database } from "../../store/database.ts";
import type { Principals } from "./principals.ts";

/** Each key and token is written at most once a minute, all of them in one transaction. */
const FLUSH_EVERY_MS = 60_000;

/** Keeps `lastUsedAt` of keys and tokens. */
export class UsageMarks {
  readonly #database: Database;
  readonly #principals: Principals;
  #timer: NodeJS.Timeout | null = null;

  constructor(database: Database, principals: Principals) {
    this.#database = database;
    this.#principals = principals;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#flush(), FLUSH_EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const { keys, tokens } = this.#principals.takeUsed();
    if (keys.length === 0 && tokens.length === 0) return;
    await this.#database
      .write(async (trx) => {
        for (const [id, at] of keys)
          await trx.updateTable("api_keys").set({ lastUsedAt: at }).where("id", "=", id).execute();
        for (const [id, at] of tokens)
          await trx.updateTable("service_tokens").set({ lastUsedAt: at }).where("id", "=", id).execute();
      })
      .catch(() => undefined);
  }
}
