import type { ReplayBudget } from "../core/caller.ts";
import {
  counterOf,
  type StreamCounter,
  type StreamEntry,
  type StreamHistory,
  type StreamRef,
  streamName,
} from "./stream.ts";

/** Several values per key. The only value of a key, the usual case, needs no set of its own. */
export type MultiMap<V extends object> = Map<string, V | Set<V>>;

export function addTo<V extends object>(map: MultiMap<V>, key: string, value: V): void {
  const held = map.get(key);
  if (held instanceof Set) held.add(value);
  else if (held === undefined) map.set(key, value);
  else if (held !== value) map.set(key, new Set([held, value]));
}

export function removeFrom<V extends object>(map: MultiMap<V>, key: string, value: V): void {
  const held = map.get(key);
  if (held === value) map.delete(key);
  else if (held instanceof Set && held.delete(value) && held.size === 0) map.delete(key);
}

/** In the order of adding; those added or removed meanwhile are seen as in a set. */
export function valuesOf<V extends object>(map: MultiMap<V>, key: string): Iterable<V> {
  const held = map.get(key);
  if (held === undefined) return [];
  return held instanceof Set ? held : [held];
}

export function countOf<V extends object>(map: MultiMap<V>, key: string): number {
  const held = map.get(key);
  if (held === undefined) return 0;
  return held instanceof Set ? held.size : 1;
}

/** Reads the history of a stream, one page at a time. */
export interface PageReader {
  /** Readers of one connection share its turns. */
  readonly connection: object;
  /** Milliseconds until the earlier pages of its owner are paid; 0: it may read. */
  waitMs(): number;
  /** Reads and sends a page. @returns whether it can read another one now. */
  readPage(): boolean;
}

const UNBOUNDED: ReplayBudget = { waitMs: () => 0, charge: () => undefined };

/**
 * Pages are bounded in rows and bytes and take up to a few milliseconds: this many leave time for
 * everything else in a turn of the event loop.
 */
const PAGES_PER_TURN = 4;
/** Bounds how often a connection is looked at that waits for its budget, and how late it is. */
const MIN_HELD_MS = 100;
const MAX_HELD_MS = 1000;

/** The readers of one connection while its owner is in debt. */
interface Held {
  readonly readers: Set<PageReader>;
  readonly timer: NodeJS.Timeout;
}

/**
 * Limits reading to a number of pages in each turn of the event loop. Connections take turns, so
 * many connections, or one with many subscriptions, delay neither the others nor producers. A page
 * is read at once while the turn has pages left and no reader waits. A connection whose owner is in
 * debt leaves the turns until that is paid.
 */
export class ReadingTurns {
  /** By connection, in the order of turns; a connection's readers likewise. */
  readonly #waiting = new Map<object, Set<PageReader>>();
  /** By connection. */
  readonly #held = new Map<object, Held>();
  #pagesLeft = PAGES_PER_TURN;
  #isTurnCounted = false;

  /**
   * Reads pages for as long as the reader can take them, now or in later turns. A waiting reader
   * keeps its position.
   */
  request(reader: PageReader): void {
    const held = this.#held.get(reader.connection);
    if (held) {
      held.readers.add(reader);
      return;
    }
    if (this.#waiting.size === 0) {
      while (this.#pagesLeft > 0) {
        if (!this.#read(reader)) return;
      }
    }
    this.#enqueue(reader);
    this.#countTurn();
  }

  cancel(reader: PageReader): void {
    const readers = this.#waiting.get(reader.connection);
    if (readers?.delete(reader) && readers.size === 0) this.#waiting.delete(reader.connection);
    const held = this.#held.get(reader.connection);
    if (!held?.readers.delete(reader) || held.readers.size > 0) return;
    clearTimeout(held.timer);
    this.#held.delete(reader.connection);
  }

  #read(reader: PageReader): boolean {
    const waitMs = reader.waitMs();
    if (waitMs > 0) {
      this.#hold(reader, waitMs);
      return false;
    }
    this.#pagesLeft--;
    this.#countTurn();
    return reader.readPage();
  }

  /** Other readers of the connection wait behind it, in their order. */
  #hold(reader: PageReader, waitMs: number): void {
    const { connection } = reader;
    const held = this.#held.get(connection);
    // Held for another reader, which was requested while this one read.
    if (held) return void held.readers.add(reader);
    const readers = new Set([reader, ...(this.#waiting.get(connection) ?? [])]);
    this.#waiting.delete(connection);
    const goOn = (): void => {
      this.#held.delete(connection);
      for (const each of readers) this.#enqueue(each);
      this.#countTurn();
    };
    const timer = setTimeout(goOn, Math.min(Math.max(waitMs, MIN_HELD_MS), MAX_HELD_MS)).unref();
    this.#held.set(connection, { readers, timer });
  }

  #enqueue(reader: PageReader): void {
    const readers = this.#waiting.get(reader.connection);
    if (readers) readers.add(reader);
    else this.#waiting.set(reader.connection, new Set([reader]));
  }

  /** Schedules the next turn, which resets the count and serves waiting readers. */
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

  /** The first reader of the first connection; both move to the end of their queues. */
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

/** Receives live entries one by one. */
export interface Listener {
  live(entry: StreamEntry): void;
}

/** Sends an entry to all sockets of one protocol that follow a stream, in one call. */
export interface Broadcaster {
  broadcast(stream: string, entry: StreamEntry): void;
}

/**
 * Turns committed rows into live entries. The history of a stream is its table; the hub holds only
 * the listeners and the last announced offset. A replay never reads past that offset, so replay and
 * live entries meet without a gap or reordering.
 */
export class Hub {
  readonly history: StreamHistory;
  /** Readers of the history wait here for their turn. */
  readonly turns = new ReadingTurns();
  readonly budget: ReplayBudget;
  readonly #listeners: MultiMap<Listener> = new Map();
  readonly #followers: MultiMap<Broadcaster> = new Map();
  readonly #heads: Record<StreamCounter, number>;
  readonly #given: (counter: StreamCounter) => number;

  /**
   * @param heads the last offsets that were committed before the start
   * @param given the last offset that was given to an entry, whether it is committed or not
   */
  constructor(
    history: StreamHistory,
    heads: Readonly<Record<StreamCounter, number>>,
    budget = UNBOUNDED,
    given: (counter: StreamCounter) => number = (counter) => this.#heads[counter],
  ) {
    this.history = history;
    this.budget = budget;
    this.#heads = { ...heads };
    this.#given = given;
  }

  /** The last announced offset of the stream's counter. */
  head(stream: StreamRef): number {
    return this.headOf(counterOf(stream));
  }

  /** The last announced offset of a counter. */
  headOf(counter: StreamCounter): number {
    return this.#heads[counter];
  }

  /** Whether the stream's counter has come this far. A list may show an entry before it is announced. */
  hasGiven(stream: StreamRef, offset: number): boolean {
    return offset <= Math.max(this.head(stream), this.#given(counterOf(stream)));
  }

  /** No stream has a listener, so no entries need to be made. */
  get hasNoListeners(): boolean {
    return this.#listeners.size === 0 && this.#followers.size === 0;
  }

  /** Whether an entry of this stream has a receiver. */
  hasListeners(stream: StreamRef): boolean {
    return this.isFollowed(streamName(stream));
  }

  /** {@link hasListeners} by the stream's name. */
  isFollowed(name: string): boolean {
    return this.#listeners.has(name) || this.#followers.has(name);
  }

  /**
   * Call after the commit, in the order of the counter: all lower offsets have been published or
   * had no listener.
   */
  publish(stream: StreamRef, entry: StreamEntry): void {
    this.#publish(streamName(stream), counterOf(stream), entry);
  }

  /** {@link publish} for a row of `stream_log`, with the stream's name. */
  publishLogged(name: string, entry: StreamEntry): void {
    this.#publish(name, "log", entry);
  }

  #publish(name: string, counter: StreamCounter, entry: StreamEntry): void {
    this.advance(counter, entry.offset - 1);
    for (const broadcaster of valuesOf(this.#followers, name)) broadcaster.broadcast(name, entry);
    // Before the listeners are called: one that goes live meanwhile has read up to here from the
    // table.
    this.advance(counter, entry.offset);
    if (this.#listeners.has(name)) for (const listener of [...valuesOf(this.#listeners, name)]) listener.live(entry);
  }

  /**
   * Sends an entry to sockets that follow the stream live. It is not stored: sockets that are
   * catching up miss it.
   */
  broadcastTransient(stream: StreamRef, entry: Omit<StreamEntry, "offset">): void {
    const name = streamName(stream);
    for (const broadcaster of valuesOf(this.#followers, name)) broadcaster.broadcast(name, { ...entry, offset: 0 });
  }

  /** All entries up to this offset have been published. */
  advance(counter: StreamCounter, offset: number): void {
    if (offset > this.#heads[counter]) this.#heads[counter] = offset;
  }

  /** @param name the stream's name, if the caller keeps it: the text is then in memory once */
  listen(stream: StreamRef, listener: Listener, name = streamName(stream)): void {
    addTo(this.#listeners, name, listener);
  }

  unlisten(stream: StreamRef, listener: Listener): void {
    removeFrom(this.#listeners, streamName(stream), listener);
  }

  /** Sockets of this protocol follow the stream through its broadcasts. */
  follow(stream: StreamRef, broadcaster: Broadcaster): void {
    addTo(this.#followers, streamName(stream), broadcaster);
  }

  unfollow(stream: StreamRef, broadcaster: Broadcaster): void {
    removeFrom(this.#followers, streamName(stream), broadcaster);
  }
}
