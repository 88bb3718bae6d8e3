import { failureOf } from "../sqlite/sqlite-errors.ts";
import type { Committer } from "./committer.ts";
import type { WriterPort } from "./writers.ts";

type Statement = readonly [sql: string, parameters: readonly unknown[]];

/** Larger than a page, so that it needs new space. */
const ROOM_SQL = `insert into settings (key, value, updatedAt) values ('store.probe', zeroblob(8192), ?)
  on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`;
const NO_ROOM_SQL = "update settings set value = 0 where key = 'store.probe'";

/** Small commits of the store itself, queued like all others; no feature reads their rows. */
export class SmallWrites {
  readonly #committer: Committer;
  readonly #port: WriterPort;

  constructor(committer: Committer, port: WriterPort) {
    this.#committer = committer;
    this.#port = port;
  }

  /** @throws SHUTTING_DOWN, and errors of SQLite */
  commit(statements: readonly Statement[]): Promise<void> {
    const { record } = this.#committer;
    return this.#committer.alone(async () => {
      try {
        await this.#port.begin();
        for (const [sql, parameters] of statements) await this.#port.query(sql, parameters);
        await this.#port.commit({ statements: [], audit: [], sequenceEnds: [], effects: [] });
        record.committed();
      } catch (error) {
        record.failed(failureOf(error));
        await this.#port.rollback().catch(() => undefined);
        throw error;
      }
    });
  }

  /** Whether a commit that needs space reaches the disk. */
  async probe(): Promise<boolean> {
    try {
      await this.commit([
        [ROOM_SQL, [Date.now()]],
        [NO_ROOM_SQL, []],
      ]);
      return true;
    } catch {
      return false;
    }
  }
}
