import type { Database as Sqlite } from "better-sqlite3";
import type { EpochMs } from "../../../core/clock.ts";
import type { EventsTable } from "../../../store/schema.ts";

const PAGE_EVENTS = 500;
const PAGE_BYTES = 4_194_304;
/** By how much clocks are set back, at most, before events are missed at the edges of a time. */
const CLOCK_STEP_MS = 3_600_000;

/** The events of a project in the order of their numbers, a page a read: none stands long, so that the WAL can restart. */
export class EventPages {
  readonly #projectId: string;
  readonly #page;
  readonly #next;
  readonly #last;
  readonly #count;

  constructor(connection: Sqlite, projectId: string) {
    this.#projectId = projectId;
    this.#page = connection.prepare<[string, number, number], EventsTable>(
      "select * from events where projectId = ? and seq > ? and seq <= ? order by seq",
    );
    this.#next = connection.prepare<[string, number], { seq: number; receivedAt: EpochMs }>(
      "select seq, receivedAt from events where projectId = ? and seq >= ? order by seq limit 1",
    );
    this.#last = connection.prepare<[string], { seq: number }>(
      "select seq from events where projectId = ? order by seq desc limit 1",
    );
    this.#count = connection
      .prepare<[string, number, number], number>(
        "select count(*) from events where projectId = ? and seq between ? and ?",
      )
      .pluck();
  }

  /** The first number that can belong to an instant, and the last that is stored. */
  range(from: EpochMs | null): { first: number; last: number } {
    const last = this.#last.get(this.#projectId)?.seq ?? 0;
    return { first: from === null ? 0 : this.#firstAt(from - CLOCK_STEP_MS, last), last };
  }

  /** Events of a range, however old. */
  count({ first, last }: { first: number; last: number }): number {
    return this.#count.get(this.#projectId, first, last) ?? 0;
  }

  /** Pages until the events are clearly of a time behind `to`. */
  *pages({ first, last }: { first: number; last: number }, to: EpochMs): Iterable<readonly EventsTable[]> {
    for (let after = first - 1; ; ) {
      const page = this.#read(after, last);
      const end = page.at(-1);
      if (!end) return;
      yield page;
      if (end.receivedAt >= to + CLOCK_STEP_MS) return;
      after = end.seq;
    }
  }

  #read(after: number, last: number): EventsTable[] {
    const page: EventsTable[] = [];
    let bytes = 0;
    for (const row of this.#page.iterate(this.#projectId, after, last)) {
      page.push(row);
      bytes += row.payload.length;
      if (page.length === PAGE_EVENTS || bytes > PAGE_BYTES) break;
    }
    return page;
  }

  /** Numbers rise with time, but for a clock that was set: halving finds the place. */
  #firstAt(at: EpochMs, last: number): number {
    let low = 0;
    let high = last;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const event = this.#next.get(this.#projectId, middle);
      if (event === undefined || event.receivedAt >= at) high = middle;
      else low = event.seq + 1;
    }
    return low;
  }
}
