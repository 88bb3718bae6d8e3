import { currentCaller } from "../../../core/caller.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { Clock } from "../../../core/time/clock.ts";
import type { Hub } from "../../../live/hub.ts";
import type { Presence } from "../../../live/presence.ts";
import { type LoggedStream, parseStreamName, streamName } from "../../../live/stream.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Committer } from "../../../store/commit/committer.ts";
import { addEffect, type Database, type InTransaction, later } from "../../../store/database.ts";
import type { LoggedEntry } from "../../../store/effect.ts";
import type { AllowsChannel, ChannelAuthorizers } from "../../protocols/pusher/index.ts";

interface EntryOptions {
  /** The log stores less than followers receive: the history completes it. */
  readonly isAbridged?: boolean | undefined;
  /** Id of the publishing connection, which does not receive it live. */
  readonly except?: string | undefined;
  /** Default: that of the publishing request. */
  readonly correlationId?: string | undefined;
}

type PublishOptions = EntryOptions & InTransaction;

export interface NewEntry extends EntryOptions {
  readonly to: LoggedStream;
  readonly type: string;
  readonly data: unknown;
}

/** The rows come as JSON, so that it is one text, prepared once, for any number of them. */
const PUBLISH_SQL = `insert into stream_log (createdAt, seq, stream, type, data, correlationId)
  select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 from json_each(?)`;

/** An entry that a write set stores. */
export interface SetEntry {
  /** Draws its offset, while the set is sealed. @returns its row */
  seal(): { readonly offset: number; readonly sql: string; readonly row: (string | number)[] };
  /** Sends it to followers, once the set is on disk, in the order of the offsets. */
  announce(): void;
}

/** Stream entries that are not events: stored in `stream_log`, then sent to followers. */
export class StreamService {
  readonly #db: Database;
  readonly #committer: Committer;
  readonly #hub: Hub;
  readonly #presence: Presence;
  readonly #clock: Clock;
  readonly #channelAuthorizers: ChannelAuthorizers;

  constructor(parts: Uses<"db" | "committer" | "hub" | "presence" | "clock" | "channelAuthorizers">) {
    const { db, committer, hub, presence, clock, channelAuthorizers } = parts;
    this.#db = db;
    this.#committer = committer;
    this.#hub = hub;
    this.#presence = presence;
    this.#clock = clock;
    this.#channelAuthorizers = channelAuthorizers;
  }

  /**
   * Appends to a stream, given by reference or name. It is sent when the transaction is on disk.
   * @throws TypeError for an unknown stream
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

  /** {@link publish} for several entries, in order, by one statement. @returns their offsets */
  async publishAll(entries: readonly NewEntry[], options: InTransaction = {}): Promise<number[]> {
    const at = this.#clock.now();
    const ownCorrelationId = currentCaller().correlationId ?? uuidv7();
    const made = entries.map((entry) => ({
      ...entry,
      stream: streamName(entry.to),
      json: JSON.stringify(entry.data),
      correlationId: entry.correlationId ?? ownCorrelationId,
    }));
    return this.#db.writeIn(options, async (trx) => {
      const numbered = made.map((entry) => ({ ...entry, offset: this.#db.nextOffset(trx) }));
      const rows = numbered.map(({ offset, stream, type, json, correlationId }) => [
        at,
        offset,
        stream,
        type,
        json,
        correlationId,
      ]);
      later(trx, PUBLISH_SQL, [JSON.stringify(rows)]);
      for (const { stream, offset, type: entryType, json, correlationId, isAbridged, except } of numbered) {
        const entry = { stream, offset, entryType, data: isAbridged ? null : json, at, correlationId };
        addEffect(trx, { type: "entry", ...entry, ...(except === undefined ? {} : { except }) });
      }
      return numbered.map(({ offset }) => offset);
    });
  }

  /** An entry for the write set of an event. @param json its data */
  entryOfSet(to: LoggedStream, type: string, json: string, correlationId: string): SetEntry {
    const at = this.#clock.now();
    const stream = streamName(to);
    let offset = 0;
    return {
      seal: () => {
        offset = this.#committer.sequences.streams.next();
        return { offset, sql: PUBLISH_SQL, row: [at, offset, stream, type, json, correlationId] };
      },
      announce: () => announceEntry(this.#hub, { stream, offset, entryType: type, data: json, at, correlationId }),
    };
  }

  /** Whether the user has a live connection of any kind, or had one a moment ago. */
  isLive(userId: string): boolean {
    return this.#presence.isLive(userId);
  }

  /**
   * Lets `allows` decide who may subscribe to Pusher channels with this prefix.
   * @returns a function that ends it. @throws TypeError
   */
  authorizeChannel(prefix: string, allows: AllowsChannel): () => void {
    return this.#channelAuthorizers.add(prefix, allows);
  }
}

/** @throws TypeError */
function loggedStream(name: string): LoggedStream {
  const stream = parseStreamName(name);
  if (stream && stream.kind !== "project" && stream.kind !== "system") return stream;
  throw new TypeError(`cannot publish to the stream ${JSON.stringify(name)}; use channel:<name> or user:<id>`);
}

/** Sends a row of `stream_log` to the followers of its stream. */
export function announceEntry(
  hub: Hub,
  { stream, offset, entryType: type, data, at, correlationId, except }: LoggedEntry,
): void {
  const entry = { offset, type, data: data ?? fullText(hub, stream, offset), at, correlationId };
  hub.publishLogged(stream, except === undefined ? entry : { ...entry, except });
}

/** The history's text of a row that is stored in part; empty while the stream has no followers. */
function fullText(hub: Hub, name: string, offset: number): string {
  const stream = hub.isFollowed(name) ? parseStreamName(name) : undefined;
  const [entry] = stream ? hub.history.read(stream, offset - 1, offset).entries : [];
  return entry?.data ?? "";
}
