import { PrismError } from "../core/errors.ts";
import type { Hub, Listener, PageReader } from "./hub.ts";
import type { StreamEntry, StreamGap, StreamRef } from "./stream.ts";

/** One reader of one stream, in the words of its protocol. */
export interface Sink {
  /** Whose it is: what one connection follows shares its turns of reading. */
  readonly connection: object;
  /**
   * Whether the connection can take more now. While it cannot, the subscription waits for {@link
   * Subscription.drained}.
   */
  isReady(): boolean;
  /**
   * @returns false when the connection cannot take it now; the subscription reads it again from the
   * table later.
   */
  entry(entry: StreamEntry): boolean;
  gap(gap: StreamGap): void;
  /**
   * Everything up to now has been sent: what follows comes live. Called each time that this becomes
   * so.
   */
  caughtUp?(): void;
  /** The history could not be read: the connection is to be ended. */
  failed(error: unknown): void;
  /**
   * Joins or leaves the protocol's broadcasts of the stream; absent where every connection is
   * written to by itself.
   */
  readonly group?: { join(): void; leave(): void };
}

/** Offset to begin behind: a number, now, or the beginning of what is kept. */
export type From = number | "latest" | "earliest";

/**
 * A subscription is in one of two modes until it ends. Catching up: it reads pages from the
 * stream's table, as fast as the connection takes them and its turns come, up to what the hub has
 * announced. Live: entries are handed to it, or to its protocol's broadcast. It turns live in the
 * same loop turn in which a page ends the history, so nothing falls between; it falls back to
 * catching up when the connection takes no more.
 */
export class Subscription implements Listener, PageReader {
  readonly stream: StreamRef;
  readonly #hub: Hub;
  readonly #sink: Sink;
  readonly #accepts: (entry: StreamEntry) => boolean;
  /**
   * Up to here the subscriber needs nothing more. With a group it stands still while live: the
   * hub's head is the truth then.
   */
  #lastSent: number;
  /**
   * Where the last gap that was told ends: it is told once, however often its range is read again.
   */
  #toldUpTo = 0;
  /** A gap that stands before everything, whatever its offsets. */
  #firstGap: StreamGap | null = null;
  #mode: "catching up" | "live" | "ended" = "catching up";

  /** @param accepts the subscriber's filter; entries it refuses count as sent. */
  constructor(
    hub: Hub,
    stream: StreamRef,
    from: From,
    sink: Sink,
    accepts: (entry: StreamEntry) => boolean = everything,
  ) {
    this.stream = stream;
    this.#hub = hub;
    this.#sink = sink;
    this.#accepts = accepts;
    const head = hub.head(stream);
    this.#lastSent = from === "latest" ? head : from === "earliest" ? 0 : from;
    if (this.#lastSent > head) {
      // The client has seen a future that this server does not have: another data directory, or one
      // restored from a backup.
      this.#firstGap = { from: this.#lastSent, to: 0 };
      this.#lastSent = 0;
    }
  }

  /** Sends what was missed, then goes live. */
  start(): void {
    if (this.#firstGap) this.#sink.gap(this.#firstGap);
    this.#firstGap = null;
    this.drained();
  }

  get connection(): object {
    return this.#sink.connection;
  }

  /** The connection can take more. */
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
    if (!this.#send(entry)) this.#fallBehind();
  }

  /**
   * The connection takes no more, though what was broadcast so far has reached it: it reads the
   * rest once there is room.
   */
  fallBehind(): void {
    if (this.#mode !== "live") return;
    if (this.#sink.group) this.#lastSent = this.#hub.head(this.stream);
    this.#fallBehind();
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
    // Asked for after the entries: what another connection removes in between is then told, and not
    // missed in silence.
    const gaps = history.gaps(this.stream, this.#lastSent, end);
    for (const entry of entries) {
      this.#tellGaps(gaps, entry.offset);
      if (!this.#send(entry)) return;
    }
    if (!isEnd) return;
    this.#tellGaps(gaps, end);
    this.#lastSent = Math.max(this.#lastSent, end);
    if (this.#sink.isReady()) this.#goLive();
  }

  #send(entry: StreamEntry): boolean {
    if (this.#accepts(entry) && !this.#sink.entry(entry)) return false;
    this.#lastSent = entry.offset;
    return true;
  }

  /** Tells the gaps that begin below an offset. */
  #tellGaps(gaps: StreamGap[], below: number): void {
    for (let gap = gaps[0]; gap && gap.from < below; gap = gaps[0]) {
      gaps.shift();
      const from = Math.max(gap.from, this.#lastSent, this.#toldUpTo);
      if (gap.to <= from) continue;
      this.#toldUpTo = gap.to;
      this.#sink.gap({ from, to: gap.to });
    }
  }

  #goLive(): void {
    this.#mode = "live";
    if (this.#sink.group) this.#sink.group.join();
    else this.#hub.listen(this.stream, this);
    this.#sink.caughtUp?.();
  }

  #leaveLive(): void {
    if (this.#sink.group) this.#sink.group.leave();
    else this.#hub.unlisten(this.stream, this);
  }

  #fallBehind(): void {
    this.#leaveLive();
    this.#mode = "catching up";
  }
}

function everything(): boolean {
  return true;
}

/**
 * Where to begin, from a query or a `Last-Event-ID` header; absent is now. @throws
 * VALIDATION_FAILED
 */
export function parseFrom(text: string | undefined): From {
  if (text === undefined || text === "" || text === "latest") return "latest";
  if (text === "earliest") return "earliest";
  const offset = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(offset)) return offset;
  throw new PrismError("VALIDATION_FAILED", "The offset to resume from is not valid", {
    details: [{ path: "from", code: "VALUE", message: "must be an offset, latest or earliest" }],
  });
}
