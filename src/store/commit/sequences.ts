import type { Database as Sqlite } from "better-sqlite3";
import type { SequenceEnd } from "./write-set.ts";

/**
 * `events`: event seq, the offset of project streams. `streams`: the offset that user, task,
 * message and channel streams share.
 */
export type SequenceName = "events" | "streams";

const BLOCK = 100_000;

/**
 * A counter kept in memory. The end of the block it draws from is stored before a number of the
 * block can be seen outside; after a crash the next block begins, so that no number is ever given
 * twice, whatever was deleted since. Only the holder of the writer draws.
 */
export class Sequence {
  readonly name: SequenceName;
  #last: number;
  #storedEnd: number;

  constructor(name: SequenceName, last: number, storedEnd: number) {
    this.name = name;
    this.#last = last;
    this.#storedEnd = storedEnd;
  }

  /** The number given last. */
  get last(): number {
    return this.#last;
  }

  next(): number {
    return ++this.#last;
  }

  /** What must be stored with the numbers drawn since the last {@link stored}. */
  unstoredEnd(): SequenceEnd | null {
    if (this.#last <= this.#storedEnd) return null;
    return { name: this.name, end: Math.ceil(this.#last / BLOCK) * BLOCK, at: Date.now() };
  }

  stored(end: number): void {
    this.#storedEnd = Math.max(this.#storedEnd, end);
  }
}

export class Sequences {
  readonly events: Sequence;
  readonly streams: Sequence;

  constructor(events: Sequence, streams: Sequence) {
    this.events = events;
    this.streams = streams;
  }

  unstoredEnds(): SequenceEnd[] {
    return [this.events.unstoredEnd(), this.streams.unstoredEnd()].filter((end) => end !== null);
  }

  stored(ends: readonly SequenceEnd[]): void {
    for (const { name, end } of ends) (name === "events" ? this.events : this.streams).stored(end);
  }
}

/**
 * Reads where the counters go on. A graceful stop leaves `sequence.<name>.last`; without it the
 * next block begins.
 */
export function readSequences(connection: Sqlite): Sequences {
  const setting = connection.prepare<[string], { value: number }>("select value from settings where key = ?");
  const read = (name: SequenceName): Sequence => {
    const end = setting.get(`sequence.${name}`)?.value ?? 0;
    const clean = setting.get(`sequence.${name}.last`)?.value;
    return new Sequence(name, clean ?? end, end);
  };
  return new Sequences(read("events"), read("streams"));
}

/** From here on a crash costs the rest of the block. To be called once the counters are in use. */
export function markSequencesInUse(connection: Sqlite): void {
  connection.prepare("delete from settings where key in ('sequence.events.last', 'sequence.streams.last')").run();
}

/** Leaves the exact positions for the next start. To be called when nothing will draw any more. */
export function markSequencesClean(connection: Sqlite, sequences: Sequences): void {
  const write = connection.prepare(
    `insert into settings (key, value, updatedAt) values (?, ?, ?)
     on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`,
  );
  for (const { name, last } of [sequences.events, sequences.streams])
    write.run(`sequence.${name}.last`, last, Date.now());
}
