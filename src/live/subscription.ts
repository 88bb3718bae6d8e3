import type { Reader } from "../core/caller.ts";
import { invalidField } from "../core/errors.ts";
import type { Hub, Listener, PageReader } from "./hub.ts";
import { type StreamEntry, type StreamGap, type StreamRef, streamName } from "./stream.ts";

/** Where a subscription sends the entries of its stream. */
export interface Sink {
  /** Subscriptions of one connection share its turns of reading. */
  readonly connection: object;
  /** Who pays for what is read. */
  readonly reader: Reader;
  /**
   * Whether the connection can take more now. If not, the subscription waits for {@link
   * Subscription.drained}.
   */
  isReady(): boolean;
  /**
   * @returns false when the connection cannot take it now; the subscription reads it from the table
   * later.
   */
  entry(entry: StreamEntry): boolean;
  gap(gap: StreamGap): void;
  /**
   * All entries up to now have been sent; the following ones come live. Called each time the
   * subscription goes live.
   */
  caughtUp?(): void;
  /** The history could not be read; the connection must be closed. */
  failed(error: unknown): void;
  /**
   * Joins or leaves the protocol's broadcasts of the stream; absent when entries are written to
   * each connection separately. It changes only while the subscription is catching up.
   */
  readonly group?: { join(): void; leave(): void } | undefined;
}

/** Where to start: after an offset, at the head, or at the oldest entry that is kept. */
export type From = number | "latest" | "earliest";

/**
 * A subscription is catching up or live until it ends. Catching up: it reads pages from the
 * stream's table, as fast as the connection and its turns allow, up to the hub's head. Live: the
 * hub or the protocol's broadcast hands it entries. It goes live in the loop turn in which a page
 * reaches the head, so no entry is missed, and returns to catching up when the connection takes no
 * more.
 */
export class Subscription implements Listener, PageReader {
  readonly stream: StreamRef;
  /** The name of the stream. */
  readonly name: string;
  readonly #hub: Hub;
  readonly #sink: Sink;
  readonly #accepts: (entry: StreamEntry) => boolean;
  /**
   * The last offset sent or filtered out. With a group it is not updated while live: the hub's head
   * counts then.
   */
  #lastSent: number;
  /** End of the last gap sent: each gap is sent once, however often its range is read. */
  #gapSentUpTo = 0;
  /** A gap to send before all entries, whatever its offsets. */
  #firstGap: StreamGap | null = null;
  #mode: "catching up" | "live" | "ended" = "catching up";

  /**
   * @param accepts the subscriber's filter; rejected entries count as sent
   * @param name the stream's name, if the caller has it
   */
  constructor(
    hub: Hub,
    stream: StreamRef,
    from: From,
    sink: Sink,
    accepts: (entry: StreamEntry) => boolean = acceptAll,
    name = streamName(stream),
  ) {
    this.stream = stream;
    this.name = name;
    this.#hub = hub;
    this.#sink = sink;
    this.#accepts = accepts;
    this.#lastSent = from === "latest" ? hub.head(stream) : from === "earliest" ? 0 : from;
    if (!hub.hasGiven(stream, this.#lastSent)) {
      // The client's offset is from another data directory, or from before a restore.
      this.#firstGap = { from: this.#lastSent, to: 0 };
      this.#lastSent = 0;
    }
  }

  /** Sends missed entries, then goes live. */
  start(): void {
    if (this.#firstGap) this.#sink.gap(this.#firstGap);
    this.#firstGap = null;
    this.drained();
  }

  get connection(): object {
    return this.#sink.connection;
  }

  waitMs(): number {
    return this.#hub.budget.waitMs(this.#sink.reader);
  }

  drained(): void {
    if (this.#wantsPage()) this.#hub.turns.request(this);
  }

  readPage(): boolean {
    if (!this.#wantsPage()) return false;
    try {
      this.#sendPage();
    } catch (error) {
      this.#sink.failed(error);
      return false;
    }
    return this.#wantsPage();
  }

  live(entry: StreamEntry): void {
    if (this.#mode !== "live" || entry.offset <= this.#lastSent) return;
    if (!this.#send(entry)) this.#startCatchingUp();
  }

  /**
   * The connection takes no more, although earlier broadcasts have reached it: the rest is read
   * once there is room.
   */
  detach(): void {
    if (this.#mode !== "live") return;
    if (this.#sink.group) this.#lastSent = this.#hub.head(this.stream);
    this.#startCatchingUp();
  }

  end(): void {
    if (this.#mode === "live") this.#leaveLive();
    this.#mode = "ended";
    this.#hub.turns.cancel(this);
  }

  #wantsPage(): boolean {
    return this.#mode === "catching up" && this.#sink.isReady();
  }

  #sendPage(): void {
    const { history } = this.#hub;
    const upTo = this.#hub.head(this.stream);
    const { entries, isEnd } = history.read(this.stream, this.#lastSent, upTo);
    const end = isEnd ? upTo : (entries.at(-1)?.offset ?? upTo);
    // Read after the entries, so that entries which another connection removes meanwhile are
    // reported as a gap.
    const gaps = history.gaps(this.stream, this.#lastSent, end);
    this.#pay(entries, gaps.length);
    for (const entry of entries) {
      this.#sendGaps(gaps, entry.offset);
      if (!this.#send(entry)) return;
    }
    if (!isEnd) return;
    this.#sendGaps(gaps, end);
    this.#lastSent = Math.max(this.#lastSent, end);
    if (this.#sink.isReady()) this.#goLive();
  }

  /** Charges a page to its reader; one without entries costs its query. */
  #pay(entries: readonly StreamEntry[], gaps: number): void {
    const bytes = entries.reduce((sum, { data }) => sum + data.length, 0);
    this.#hub.budget.charge(this.#sink.reader, { found: 1 + entries.length + gaps, bytes });
  }

  #send(entry: StreamEntry): boolean {
    if (this.#accepts(entry) && !this.#sink.entry(entry)) return false;
    this.#lastSent = entry.offset;
    return true;
  }

  /** Sends the gaps that start below an offset. */
  #sendGaps(gaps: StreamGap[], below: number): void {
    for (let gap = gaps[0]; gap && gap.from < below; gap = gaps[0]) {
      gaps.shift();
      const from = Math.max(gap.from, this.#lastSent, this.#gapSentUpTo);
      if (gap.to <= from) continue;
      this.#gapSentUpTo = gap.to;
      this.#sink.gap({ from, to: gap.to });
    }
  }

  #goLive(): void {
    this.#mode = "live";
    if (this.#sink.group) this.#sink.group.join();
    else this.#hub.listen(this.stream, this, this.name);
    this.#sink.caughtUp?.();
  }

  #leaveLive(): void {
    if (this.#sink.group) this.#sink.group.leave();
    else this.#hub.unlisten(this.stream, this);
  }

  #startCatchingUp(): void {
    this.#leaveLive();
    this.#mode = "catching up";
  }
}

function acceptAll(): boolean {
  return true;
}

/**
 * Reads where to start from a query or a `Last-Event-ID` header; absent: the head. @throws
 * VALIDATION_FAILED
 */
export function parseFrom(text: string | undefined): From {
  if (text === undefined || text === "" || text === "latest") return "latest";
  if (text === "earliest") return "earliest";
  const offset = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(offset)) return offset;
  throw invalidField("offset to resume from", "from", "must be an offset, latest or earliest");
}
