import { currentCaller } from "../../base/caller.ts";
import type { Clock } from "../../base/clock.ts";
import { uuidv7 } from "../../base/ids.ts";
import type { Hub } from "../../realtime/hub.ts";
import type { Presence } from "../../realtime/presence.ts";
import { type LoggedStream, parseStreamName, streamName } from "../../realtime/stream.ts";
import type { Database, InTransaction } from "../../store/database.ts";

interface PublishOptions extends InTransaction {
  /** What those who listen now are sent, where the log keeps less: the history makes the same of what is kept. */
  readonly shown?: () => unknown;
}

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

  /** Appends to a stream, which may be given by its name. It goes out when the transaction is on disk. @throws TypeError for no such stream */
  async publish(
    to: LoggedStream | string,
    type: string,
    data: unknown,
    { shown, ...options }: PublishOptions = {},
  ): Promise<{ offset: number }> {
    const stream = typeof to === "string" ? loggedStream(to) : to;
    const at = this.#clock.now();
    const json = JSON.stringify(data);
    const correlationId = currentCaller().correlationId ?? uuidv7();
    return this.#database.writeIn(options, async (trx) => {
      const offset = this.#database.nextOffset(trx);
      await trx
        .insertInto("stream_log")
        .values({ seq: offset, stream: streamName(stream), type, data: json, correlationId, createdAt: at })
        .execute();
      this.#database.afterCommit(trx, () => {
        const sent = shown && this.#hub.hasListeners(stream) ? JSON.stringify(shown()) : json;
        this.#hub.publish(stream, { offset, type, data: sent, at, correlationId });
      });
      return { offset };
    });
  }

  /** Whether the user has a live connection of any kind, or had one a moment ago. */
  isLive(userId: string): boolean {
    return this.#presence.isLive(userId);
  }
}

/** @throws TypeError */
function loggedStream(name: string): LoggedStream {
  const stream = parseStreamName(name);
  if (stream && stream.kind !== "project") return stream;
  throw new TypeError(`${JSON.stringify(name)} is no stream to publish to; use channel:<name> or user:<id>`);
}
