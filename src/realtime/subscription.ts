import type { Broadcaster, Hub, Listener } from "./hub.ts";
import type { StreamEntry, StreamGap, StreamRef } from "./stream.ts";

/** One reader of one stream, in the words of its protocol. */
export interface Sink {
  /** Whether the connection can take more now. While it cannot, the subscription waits for {@link Subscription.drained}. */
  isReady(): boolean;
  /** @returns false when the connection did not take it; the subscription reads it again from the table later. */
  entry(entry: StreamEntry): boolean;
  gap(gap: StreamGap): void;
  /** Joins or leaves the protocol's broadcasts of the stream; absent where every connection is written to by itself. */
  readonly group?: { readonly broadcaster: Broadcaster; join(): void; leave(): void };
}

/** Offset to begin behind: a number, now, or the beginning of what is kept. */
export type From = number | "latest" | "earliest";

/** Pages sent in one loop turn; a reader that takes everything must not keep the others waiting. */
const PAGES_PER_TURN = 4;

/**
 * A subscription is in one of two modes. Catching up: it reads pages from the stream's table, as fast as the connection takes them, up to
 * what the hub has announced. Live: entries are handed to it, or to its protocol's broadcast. It turns live in the same loop turn in which
 * a page comes back empty, so nothing falls between; it falls back to catching up when the connection takes no more.
 */
export class Subscription implements Listener {
  readonly stream: StreamRef;
  readonly #hub: Hub;
  readonly #sink: Sink;
  readonly #accepts: (entry: StreamEntry) => boolean;
  #lastSent: number;
  #gaps: StreamGap[] = [];
  /** A gap that stands before everything, whatever its offsets. */
  #firstGap: StreamGap | null = null;
  #mode: "catching up" | "live" | "ended" = "catching up";

  /** @param accepts the subscriber's filter; entries it refuses count as sent. */
  constructor(hub: Hub, stream: StreamRef, from: From, sink: Sink, accepts?: (entry: StreamEntry) => boolean) {
    this.stream = stream;
    this.#hub = hub;
    this.#sink = sink;
    this.#accepts = accepts ?? everything;
    this.#lastSent = this.#startOffset(from);
  }

  /** The offset up to which the subscriber needs nothing more; at the start, where it begins. */
  get offset(): number {
    return this.#mode === "live" && this.#sink.group ? this.#hub.head(this.stream) : this.#lastSent;
  }

  /** Sends what was missed, then goes live. */
  start(): void {
    this.drained();
  }

  /** The connection can take more. */
  drained(): void {
    if (this.#firstGap) this.#sink.gap(this.#firstGap);
    this.#firstGap = null;
    for (let pages = 0; this.#mode === "catching up" && this.#sink.isReady(); pages++) {
      if (pages === PAGES_PER_TURN) {
        setImmediate(() => this.drained());
        return;
      }
      const upTo = this.#hub.head(this.stream);
      const { entries, isEnd } = this.#hub.history.read(this.stream, this.#lastSent, upTo);
      for (const entry of entries) {
        this.#sendGapsBefore(entry.offset);
        if (!this.#send(entry)) return;
      }
      if (isEnd) {
        this.#sendGapsBefore(upTo + 1);
        this.#lastSent = Math.max(this.#lastSent, upTo);
        this.#goLive();
      }
    }
  }

  live(entry: StreamEntry): void {
    if (entry.offset <= this.#lastSent) return;
    if (!this.#sink.isReady() || !this.#send(entry)) this.#fallBehind();
  }

  /** The protocol's broadcast did not reach this connection: everything after `lastReached` is to be read again. */
  missed(lastReached: number): void {
    if (this.#mode !== "live") return;
    this.#lastSent = lastReached;
    this.#fallBehind();
  }

  end(): void {
    if (this.#mode === "live") this.#leaveLive();
    this.#mode = "ended";
  }

  #startOffset(from: From): number {
    const head = this.#hub.head(this.stream);
    if (from === "latest") return head;
    const after = from === "earliest" ? 0 : from;
    if (after > head) {
      // The client has seen a future that this server does not have: another data directory, or one restored from a backup.
      this.#firstGap = { from: after, to: head };
      return 0;
    }
    this.#gaps = this.#hub.history.gaps(this.stream, after);
    return after;
  }

  #send(entry: StreamEntry): boolean {
    if (this.#accepts(entry) && !this.#sink.entry(entry)) return false;
    this.#lastSent = entry.offset;
    return true;
  }

  #sendGapsBefore(offset: number): void {
    while (this.#gaps.length > 0 && (this.#gaps[0] as StreamGap).from < offset)
      this.#sink.gap(this.#gaps.shift() as StreamGap);
  }

  #goLive(): void {
    this.#mode = "live";
    const { group } = this.#sink;
    if (group) {
      this.#hub.follow(this.stream, group.broadcaster);
      group.join();
    } else this.#hub.listen(this.stream, this);
  }

  #leaveLive(): void {
    const { group } = this.#sink;
    if (group) {
      group.leave();
      this.#hub.unfollow(this.stream, group.broadcaster);
    } else this.#hub.unlisten(this.stream, this);
  }

  #fallBehind(): void {
    if (this.#mode !== "live") return;
    this.#leaveLive();
    this.#mode = "catching up";
  }
}

function everything(): boolean {
  return true;
}
