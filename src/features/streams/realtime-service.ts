import { sql } from "kysely";
import { currentCaller } from "../../core/caller.ts";
import type { Clock } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { Hub } from "../../live/hub.ts";
import type { Presence } from "../../live/presence.ts";
import { type LoggedStream, parseStreamName, streamName } from "../../live/stream.ts";
import { addEffect, type Database, type InTransaction } from "../../store/database.ts";
import type { LoggedEntry } from "../../store/effect.ts";
import type { AllowsChannel, ChannelAuthorizers } from "../pusher/index.ts";

interface EntryOptions {
  /** The log keeps less than followers get: they get what the history makes of it. */
  readonly isAbridged?: boolean | undefined;
  /** Id of the connection that it came from, which is not sent it while it goes out live. */
  readonly except?: string | undefined;
  /** Default: of the request that it is published by. */
  readonly correlationId?: string | undefined;
}

type PublishOptions = EntryOptions & InTransaction;

/** What is to become an entry of a stream. */
export interface NewEntry extends EntryOptions {
  readonly to: LoggedStream;
  readonly type: string;
  readonly data: unknown;
}

interface RealtimeParts {
  readonly database: Database;
  readonly presence: Presence;
  readonly clock: Clock;
  readonly channelAuthorizers: ChannelAuthorizers;
}

/** Entries of streams that are no events: stored in `stream_log`, then sent to whoever follows. */
export class RealtimeService {
  readonly #database: Database;
  readonly #presence: Presence;
  readonly #clock: Clock;
  readonly #channelAuthorizers: ChannelAuthorizers;

  constructor({ database, presence, clock, channelAuthorizers }: RealtimeParts) {
    this.#database = database;
    this.#presence = presence;
    this.#clock = clock;
    this.#channelAuthorizers = channelAuthorizers;
  }

  /**
   * Appends to a stream, which may be given by its name. It goes out when the transaction is on
   * disk. @throws TypeError for no such stream
   */
  async publish(
    to: LoggedStream | string,
    type: string,
    data: unknown,
    { trx, ...options }: PublishOptions = {},
  ): Promise<{ offset: number }> {
    const stream = typeof to === "string" ? loggedStream(to) : to;
    const [offset = 0] = await this.publishAll([{ ...options, to: stream, type, data }], { trx });
    return { offset };
  }

  /**
   * {@link publish} of several, in their order, in one transaction and one statement. @returns
   * their offsets.
   */
  async publishAll(entries: readonly NewEntry[], options: InTransaction = {}): Promise<number[]> {
    const at = this.#clock.now();
    const ownCorrelationId = currentCaller().correlationId ?? uuidv7();
    const made = entries.map((entry) => ({
      ...entry,
      stream: streamName(entry.to),
      json: JSON.stringify(entry.data),
      correlationId: entry.correlationId ?? ownCorrelationId,
    }));
    return this.#database.writeIn(options, async (trx) => {
      const numbered = made.map((entry) => ({ ...entry, offset: this.#database.nextOffset(trx) }));
      const rows = numbered.map(({ offset, stream, type, json, correlationId }) => [
        offset,
        stream,
        type,
        json,
        correlationId,
      ]);
      // As JSON, so that it is one text of SQL, prepared once, however many rows there are.
      await sql`insert into stream_log (seq, stream, type, data, correlationId, createdAt)
        select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ${at}
        from json_each(${JSON.stringify(rows)})`.execute(trx);
      for (const { stream, offset, type: entryType, json, correlationId, isAbridged, except } of numbered) {
        const entry = { stream, offset, entryType, data: isAbridged ? null : json, at, correlationId };
        addEffect(trx, { type: "entry", ...entry, ...(except === undefined ? {} : { except }) });
      }
      return numbered.map(({ offset }) => offset);
    });
  }

  /** Whether the user has a live connection of any kind, or had one a moment ago. */
  isLive(userId: string): boolean {
    return this.#presence.isLive(userId);
  }

  /**
   * From now on `allows` says who may subscribe to channels of Pusher's whose names begin so.
   * @returns what ends it. @throws TypeError
   */
  authorizeChannel(prefix: string, allows: AllowsChannel): () => void {
    return this.#channelAuthorizers.add(prefix, allows);
  }
}

/** @throws TypeError */
function loggedStream(name: string): LoggedStream {
  const stream = parseStreamName(name);
  if (stream && stream.kind !== "project" && stream.kind !== "system") return stream;
  throw new TypeError(`${JSON.stringify(name)} is no stream to publish to; use channel:<name> or user:<id>`);
}

/** A row of `stream_log` goes out to those who follow its stream now. */
export function announceEntry(
  hub: Hub,
  { stream, offset, entryType: type, data, at, correlationId, except }: LoggedEntry,
): void {
  const entry = { offset, type, data: data ?? fullText(hub, stream, offset), at, correlationId };
  hub.publishLogged(stream, except === undefined ? entry : { ...entry, except });
}

/**
 * What the history makes of a row that does not say everything; empty while nobody follows the
 * stream.
 */
function fullText(hub: Hub, name: string, offset: number): string {
  const stream = hub.isFollowed(name) ? parseStreamName(name) : undefined;
  const [entry] = stream ? hub.history.read(stream, offset - 1, offset).entries : [];
  return entry?.data ?? "";
}
