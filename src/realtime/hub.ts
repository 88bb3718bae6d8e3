import { type StreamEntry, type StreamHistory, type StreamRef, streamName } from "./stream.ts";

/** Takes live entries one by one, and may refuse to. */
export interface Listener {
  live(entry: StreamEntry): void;
}

/** Sends an entry to all sockets of one protocol that follow a stream, in one call. */
export interface Broadcaster {
  broadcast(stream: string, entry: StreamEntry): void;
}

/**
 * Where committed rows become live entries. The history of a stream is its table; the hub holds only who listens, and how far everything
 * has been announced: a replay never reads beyond that, so that what is replayed and what comes live meet without a gap or a reordering.
 */
export class Hub {
  readonly #history: StreamHistory;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #followers = new Map<string, Map<Broadcaster, number>>();
  #eventsHead: number;
  #streamsHead: number;

  /** @param heads the last offsets that were committed before the start. */
  constructor(history: StreamHistory, heads: { events: number; streams: number }) {
    this.#history = history;
    this.#eventsHead = heads.events;
    this.#streamsHead = heads.streams;
  }

  /** The last offset of the stream's counter that has been announced. */
  head(stream: StreamRef): number {
    return stream.kind === "project" ? this.#eventsHead : this.#streamsHead;
  }

  /** Whether making an entry for this stream would serve anybody. */
  hasListeners(name: string): boolean {
    return this.#listeners.has(name) || this.#followers.has(name);
  }

  /** To be called in the order of offsets, after the commit. */
  publish(name: string, entry: StreamEntry): void {
    const followers = this.#followers.get(name);
    if (followers) for (const broadcaster of followers.keys()) broadcaster.broadcast(name, entry);
    const listeners = this.#listeners.get(name);
    if (listeners) for (const listener of [...listeners]) listener.live(entry);
  }

  /** Everything up to here has been published. */
  advance(heads: { events?: number; streams?: number }): void {
    if (heads.events !== undefined && heads.events > this.#eventsHead) this.#eventsHead = heads.events;
    if (heads.streams !== undefined && heads.streams > this.#streamsHead) this.#streamsHead = heads.streams;
  }

  get history(): StreamHistory {
    return this.#history;
  }

  listen(stream: StreamRef, listener: Listener): void {
    const name = streamName(stream);
    const listeners = this.#listeners.get(name);
    if (listeners) listeners.add(listener);
    else this.#listeners.set(name, new Set([listener]));
  }

  unlisten(stream: StreamRef, listener: Listener): void {
    const name = streamName(stream);
    const listeners = this.#listeners.get(name);
    if (listeners?.delete(listener) && listeners.size === 0) this.#listeners.delete(name);
  }

  /** A socket of this protocol follows the stream through the protocol's broadcasts. */
  follow(stream: StreamRef, broadcaster: Broadcaster): void {
    const name = streamName(stream);
    let followers = this.#followers.get(name);
    if (!followers) {
      followers = new Map();
      this.#followers.set(name, followers);
    }
    followers.set(broadcaster, (followers.get(broadcaster) ?? 0) + 1);
  }

  unfollow(stream: StreamRef, broadcaster: Broadcaster): void {
    const name = streamName(stream);
    const followers = this.#followers.get(name);
    const count = followers?.get(broadcaster);
    if (!followers || count === undefined) return;
    if (count > 1) followers.set(broadcaster, count - 1);
    else if (followers.delete(broadcaster) && followers.size === 0) this.#followers.delete(name);
  }
}
