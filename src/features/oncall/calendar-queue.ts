interface Options {
  /** Reads the calendar of a schedule. It does not throw. */
  readonly run: (scheduleId: string) => Promise<void>;
  /** Calendars that are read at once, each of another owner. */
  readonly atOnce: number;
}

/**
 * Calendars that are to be read, in turns by owner: one of an owner at a time, and the owner who waits
 * longest is next. So slow calendars of one delay those of others by one calendar.
 */
export class CalendarQueue {
  readonly #options: Options;
  /** By owner, in the order of turns. */
  readonly #waiting = new Map<string, Set<string>>();
  readonly #running = new Map<string, Promise<void>>();
  #isOpen = true;

  constructor(options: Options) {
    this.#options = options;
  }

  /** A calendar that already waits keeps its place. */
  add(owner: string, scheduleId: string): void {
    const ids = this.#waiting.get(owner) ?? new Set();
    this.#waiting.set(owner, ids.add(scheduleId));
    this.#next();
  }

  /** Resolves when nothing waits or runs. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running.values());
  }

  /** Starts nothing more. Resolves when what runs is done. */
  async close(): Promise<void> {
    this.#isOpen = false;
    await Promise.all(this.#running.values());
  }

  #next(): void {
    for (const [owner, ids] of this.#waiting) {
      if (!this.#isOpen || this.#running.size >= this.#options.atOnce) return;
      if (!this.#running.has(owner)) this.#start(owner, ids);
    }
  }

  #start(owner: string, ids: Set<string>): void {
    const [id = ""] = ids;
    ids.delete(id);
    // To the end of the turns.
    this.#waiting.delete(owner);
    if (ids.size > 0) this.#waiting.set(owner, ids);
    const done = this.#options.run(id).finally(() => {
      this.#running.delete(owner);
      this.#next();
    });
    this.#running.set(owner, done);
  }
}
