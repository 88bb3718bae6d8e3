import { currentCaller } from "../base/caller.ts";
import type { Clock } from "../base/clock.ts";
import { uuidv7 } from "../base/ids.ts";
import type { Hub } from "../realtime/hub.ts";
import type { Presence } from "../realtime/presence.ts";
import { type LoggedStream, streamName } from "../realtime/stream.ts";
import type { Database, InTransaction } from "../store/database.ts";

/** Entries of streams that are no events: stored in `stream_log`, then sent to whoever follows. */
export class RealtimeService {
  readonly #database: Database;
  readonly #hub: Hub;
  readonly #presence: Presence;
  readonly #clock: Clock;

  constructor(database: Database, hub: Hub, presence: Presence, clock: Clock) {
    this.#database = database;
    this.#hub = hub;
    this.#presence = presence;
    this.#clock = clock;
  }

  /** Appends to a stream. It goes out when the transaction is on disk. */
  async publish(
    stream: LoggedStream,
    type: string,
    data: unknown,
    options: InTransaction = {},
  ): Promise<{ offset: number }> {
    const at = this.#clock.now();
    const json = JSON.stringify(data);
    const correlationId = currentCaller().correlationId ?? uuidv7();
    return this.#database.writeIn(options, async (trx) => {
      const offset = this.#database.nextOffset(trx);
      await trx
        .insertInto("stream_log")
        .values({ seq: offset, stream: streamName(stream), type, data: json, correlationId, createdAt: at })
        .execute();
      this.#database.afterCommit(trx, () => this.#hub.publish(stream, { offset, type, data: json, at, correlationId }));
      return { offset };
    });
  }

  /** Whether the user has a live connection of any kind, or had one a moment ago. */
  isLive(userId: string): boolean {
    return this.#presence.isLive(userId);
  }
}
