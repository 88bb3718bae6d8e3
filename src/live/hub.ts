import {
  counterOf,
  type StreamCounter,
  type StreamEntry,
  type StreamHistory,
  type StreamRef,
  streamName,
} from "./stream.ts";

/** Whoever reads the history of a stream, a page at a time. */
export interface PageReader {
  /** Readers of one connection share its turns. */
  readonly connection: object;
  /** Reads a page and sends it. @returns whether it would read another now. */
  readPage(): boolean;
}

/**
 * A page is bounded in rows and bytes, and takes up to a few milliseconds: so many of them leave
 * room for everything else in a loop turn.
 */
const PAGES_PER_TURN = 4;

/**
 * Who may read when: in a turn of the loop so many pages are read by all together, and connections
 * take turns, so that neither many of them nor one with many subscriptions keeps the others
 * waiting, or those who send. A page is read at once while the turn has any left and nobody waits.
 */
export class ReadingTurns {
  /** Whose turn it is stands first; of its readers likewise. */
  readonly #waiting = new Map<object, Set<PageReader>>();
  #pagesLeft = PAGES_PER_TURN;
  #isTurnCounted = false;

  /**
   * Reads on for as long as the reader would, now or in later turns. A reader that waits already
   * keeps its place.
   */
  request(reader: PageReader): void {
    if (this.#waiting.size === 0) {
      while (this.#pagesLeft > 0) {
        if (!this.#read(reader)) return;
      }
    }
    this.#enqueue(reader);
    this.#countTurn();
  }

  /** The reader wants nothing more. */
  cancel(reader: PageReader): void {
    const readers = this.#waiting.get(reader.connection);
    if (readers?.delete(reader) && readers.size === 0) this.#waiting.delete(reader.connection);
  }

  #read(reader: PageReader): boolean {
    this.#pagesLeft--;
    this.#countTurn();
    return reader.readPage();
  }

  #enqueue(reader: PageReader): void {
    const readers = this.#waiting.get(reader.connection);
    if (readers) readers.add(reader);
    else this.#waiting.set(reader.connection, new Set([reader]));
  }

  /** What this turn has used is forgotten in the next, which goes on with those who wait. */
  #countTurn(): void {
    if (this.#isTurnCounted) return;
    this.#isTurnCounted = true;
    setImmediate(() => {
      this.#isTurnCounted = false;
      this.#pagesLeft = PAGES_PER_TURN;
      this.#readOn();
    });
  }

  #readOn(): void {
    while (this.#pagesLeft > 0) {
      const next = this.#takeNext();
      if (!next) return;
      if (this.#read(next)) this.#enqueue(next);
    }
    if (this.#waiting.size > 0) this.#countTurn();
  }

  /** The first reader of the first connection; both go to the end of their lines. */
  #takeNext(): PageReader | undefined {
    for (const [connection, readers] of this.#waiting) {
      this.#waiting.delete(connection);
      for (const reader of readers) {
        readers.delete(reader);
        if (readers.size > 0) this.#waiting.set(connection, readers);
        return reader;
      }
    }
    return undefined;
  }
}

/** Takes live entries one by one, and may refuse to. */
export interface Listener {
  live(entry: StreamEntry): void;
}

/** Sends an entry to all sockets of one protocol that follow a stream, in one call. */
export interface Broadcaster {
  broadcast(stream: string, entry: StreamEntry): void;
}

/**
 * Where committed rows become live entries. The history of a stream is its table; the hub holds
 * only who listens, and how far everything has been announced: a replay never reads beyond that, so
 * that what is replayed and what comes live meet without a gap or a reordering.
 */
export class Hub {
  readonly history: StreamHistory;
  /** Whoever reads the history waits for a turn here. */
  readonly turns = new ReadingTurns();
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #followers = new Map<string, Set<Broadcaster>>();
  readonly #heads: Record<StreamCounter, number>;

  /** @param heads the last offsets that were committed before the start. */
  constructor(history: StreamHistory, heads: Readonly<Record<StreamCounter, number>>) {
    this.history = history;
    this.#heads = { ...heads };
  }

  /** The last offset of the stream's counter that has been announced. */
  head(stream: StreamRef): number {
    return this.#heads[counterOf(stream)];
  }

  /** Nobody listens to anything: making entries would serve nobody. */
  get hasNoListeners(): boolean {
    return this.#listeners.size === 0 && this.#followers.size === 0;
  }

  /** Whether making an entry for this stream would serve anybody. */
  hasListeners(stream: StreamRef): boolean {
    return this.isFollowed(streamName(stream));
  }

  /** {@link hasListeners} by the stream's name. */
  isFollowed(name: string): boolean {
    return this.#listeners.has(name) || this.#followers.has(name);
  }

  /**
   * To be called after the commit, in the order of the counter: whatever lies below the entry has
   * been published, or nobody heard it.
   */
  publish(stream: StreamRef, entry: StreamEntry): void {
    this.#publish(streamName(stream), counterOf(stream), entry);
  }

  /** {@link publish} of a row of `stream_log`, whose stream is known by its name. */
  publishLogged(name: string, entry: StreamEntry): void {
    this.#publish(name, "log", entry);
  }

  #publish(name: string, counter: StreamCounter, entry: StreamEntry): void {
    this.advance(counter, entry.offset - 1);
    const followers = this.#followers.get(name);
    if (followers) for (const broadcaster of followers) broadcaster.broadcast(name, entry);
    // Before the listeners hear it: one that turns live while they do has read up to here from the
    // table.
    this.advance(counter, entry.offset);
    const listeners = this.#listeners.get(name);
    if (listeners) for (const listener of [...listeners]) listener.live(entry);
  }

  /**
   * Tells those who follow the stream through broadcasts now. Nothing of it is kept: who has fallen
   * behind does not hear of it.
   */
  broadcastTransient(stream: StreamRef, entry: Omit<StreamEntry, "offset">): void {
    const name = streamName(stream);
    for (const broadcaster of this.#followers.get(name) ?? []) broadcaster.broadcast(name, { ...entry, offset: 0 });
  }

  /** Everything up to here has been published. */
  advance(counter: StreamCounter, offset: number): void {
    if (offset > this.#heads[counter]) this.#heads[counter] = offset;
  }

  listen(stream: StreamRef, listener: Listener): void {
    add(this.#listeners, streamName(stream), listener);
  }

  unlisten(stream: StreamRef, listener: Listener): void {
    remove(this.#listeners, streamName(stream), listener);
  }

  /** Sockets of this protocol follow the stream through its broadcasts. */
  follow(stream: StreamRef, broadcaster: Broadcaster): void {
    add(this.#followers, streamName(stream), broadcaster);
  }

  unfollow(stream: StreamRef, broadcaster: Broadcaster): void {
    remove(this.#followers, streamName(stream), broadcaster);
  }
}

function add<T>(sets: Map<string, Set<T>>, name: string, item: T): void {
  const set = sets.get(name);
  if (set) set.add(item);
  else sets.set(name, new Set([item]));
}

function remove<T>(sets: Map<string, Set<T>>, name: string, item: T): void {
  const set = sets.get(name);
  if (set?.delete(item) && set.size === 0) sets.delete(name);
}
