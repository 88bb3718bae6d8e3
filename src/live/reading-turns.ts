/** Whoever reads the history of a stream, a page at a time. */
export interface PageReader {
  /** Readers of one connection share its turns. */
  readonly connection: object;
  /** Reads a page and sends it. @returns whether it would read another now. */
  readPage(): boolean;
}

/** A page is bounded in rows and bytes, and takes up to a few milliseconds: so many of them leave room for everything else in a loop turn. */
const PAGES_PER_TURN = 4;

/**
 * Who may read when: in a turn of the loop so many pages are read by all together, and connections take turns, so that neither many of them nor
 * one with many subscriptions keeps the others waiting, or those who send. A page is read at once while the turn has any left and nobody waits.
 */
export class ReadingTurns {
  /** Whose turn it is stands first; of its readers likewise. */
  readonly #waiting = new Map<object, Set<PageReader>>();
  #pagesLeft = PAGES_PER_TURN;
  #isTurnCounted = false;

  /** Reads on for as long as the reader would, now or in later turns. A reader that waits already keeps its place. */
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
