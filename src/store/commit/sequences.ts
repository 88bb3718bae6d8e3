import type { Database as Sqlite } from "better-sqlite3";
import type { SequenceEnd } from "./write-set.ts";

/**
 * `events`: event seq, the offset of project streams. `streams`: the offset shared by user, task,
 * message and channel streams.
 */
export type SequenceName = "events" | "streams";

export type SequenceBlocks = Readonly<Record<SequenceName, number>>;

const BLOCKS: SequenceBlocks = { events: 100_000, streams: 100_000 };

/**
 * Of a leader, for which each stop is a crash. Events are stored with their number; what only goes
 * to live connections writes nothing but the end of a block.
 */
export const REPLICATED_BLOCKS: SequenceBlocks = { events: 1, streams: 100 };

/**
 * A counter in memory that reserves blocks of numbers. The end of a block is stored before any of
 * its numbers becomes visible. After a crash the next block is used, so no number is ever given
 * twice. Only the holder of the writer draws.
 */
export class Sequence {
  readonly name: SequenceName;
  readonly #block: number;
  #last: number;
  #storedEnd: number;

  constructor(name: SequenceName, last: number, storedEnd: number, block = BLOCKS[name]) {
    this.name = name;
    this.#block = block;
    this.#last = last;
    this.#storedEnd = storedEnd;
  }

  /** The last number given. */
  get last(): number {
    return this.#last;
  }

  next(): number {
    return ++this.#last;
  }

  /** The row to store with the numbers drawn since the last {@link stored}. */
  unstoredEnd(): SequenceEnd | null {
    if (this.#last <= this.#storedEnd) return null;
    return { name: this.name, end: Math.ceil(this.#last / this.#block) * this.#block, at: Date.now() };
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

/** Reads the counters: `sequence.<name>.last` of a graceful stop, or the next block. */
export function readSequences(connection: Sqlite, blocks = BLOCKS): Sequences {
  const setting = connection.prepare<[string], { value: number }>("select value from settings where key = ?");
  const read = (name: SequenceName): Sequence => {
    const end = setting.get(`sequence.${name}`)?.value ?? 0;
    const clean = setting.get(`sequence.${name}.last`)?.value;
    return new Sequence(name, clean ?? end, end, blocks[name]);
  };
  return new Sequences(read("events"), read("streams"));
}

/** Call it once the counters are in use: from now on a crash skips the rest of the block. */
export function markSequencesInUse(connection: Sqlite): void {
  connection.prepare("delete from settings where key in ('sequence.events.last', 'sequence.streams.last')").run();
}

/** {@link markSequencesInUse} for a leader: after a graceful stop the block ends with its last number. */
export function endSequenceBlocks(connection: Sqlite): void {
  const end = connection.prepare("update settings set value = ? where key = ?");
  const { events, streams } = readSequences(connection);
  for (const { name, last } of [events, streams]) end.run(last, `sequence.${name}`);
  markSequencesInUse(connection);
}

/** Stores the exact positions for the next start. Call it when nothing draws any more. */
export function markSequencesClean(connection: Sqlite, sequences: Sequences): void {
  const write = connection.prepare(
    `insert into settings (key, value, updatedAt) values (?, ?, ?)
     on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`,
  );
  for (const { name, last } of [sequences.events, sequences.streams])
    write.run(`sequence.${name}.last`, last, Date.now());
}
