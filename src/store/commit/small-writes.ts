import type { BoundStatement } from "../sqlite/connection.ts";
import { failureOf } from "../sqlite/sqlite-errors.ts";
import type { Committer } from "./committer.ts";
import type { WriterPort } from "./writers.ts";

/** Larger than a page, so that it needs new space. */
const ROOM_SQL = `insert into local_state (key, value, updatedAt) values ('store.probe', zeroblob(8192), ?)
  on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`;
const NO_ROOM_SQL = "update local_state set value = 0 where key = 'store.probe'";

/** Small commits of the store itself, queued like all others; no feature reads their rows. */
export class SmallWrites {
  readonly #committer: Committer;
  readonly #port: WriterPort;

  constructor(committer: Committer, port: WriterPort) {
    this.#committer = committer;
    this.#port = port;
  }

  /** @throws SHUTTING_DOWN, and errors of SQLite */
  commit(statements: readonly BoundStatement[]): Promise<void> {
    const { record } = this.#committer;
    return this.#committer.alone(async () => {
      try {
        const end = { statements, audit: [], sequenceEnds: [], effects: [] };
        await this.#port.ask({ op: "together", requests: [{ op: "begin" }, { op: "commit", end }] });
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
        { sql: ROOM_SQL, parameters: [Date.now()] },
        { sql: NO_ROOM_SQL, parameters: [] },
      ]);
      return true;
    } catch {
      return false;
    }
  }
}
