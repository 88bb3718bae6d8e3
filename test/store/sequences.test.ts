import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import {
  endSequenceBlocks,
  REPLICATED_BLOCKS,
  readSequences,
  Sequence,
  Sequences,
} from "../../src/store/commit/sequences.ts";
import { column, openBeside, openTestStore, type TestStore } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { eventColumns, TestSource, WRITTEN } from "./support/write-sets.ts";

const BLOCK = 100_000;
const settings = (store: TestStore) =>
  Object.fromEntries(
    store.reader
      .prepare<[], { key: string; value: number }>(
        "select key, value from settings where key like 'sequence.%' order by key",
      )
      .all()
      .map(({ key, value }) => [key, value]),
  );

/** What a crash leaves of a store: its file, without what only a graceful stop writes. */
async function crash(t: TestContext, store: TestStore): Promise<string> {
  await store.close();
  openBeside(t, store.file).exec("delete from settings where key like 'sequence.%.last'");
  return store.file;
}

testBothWriters(
  "the end of a block is stored with the first of its numbers, and the first event is 1",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    assert.deepEqual(settings(store), {});
    const { seq } = await new TestSource(store.committer).writeEvent();
    assert.deepEqual([seq, settings(store)], [1, { "sequence.events": BLOCK }]);
  },
);

testBothWriters("the next block is stored before its first number is used", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  const { events } = store.committer.sequences;
  await source.writeEvent();
  while (events.last < BLOCK - 1) events.next();
  await source.writeEvent();
  assert.deepEqual([events.last, settings(store)], [BLOCK, { "sequence.events": BLOCK }]);
  await source.writeEvent();
  assert.deepEqual([events.last, settings(store)], [BLOCK + 1, { "sequence.events": 2 * BLOCK }]);
});

testBothWriters("after a graceful stop the numbers go on where they stopped", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  await source.writeEvent();
  await source.writeEvent();
  await store.database.write(async (trx) => store.database.nextOffset(trx));
  await store.close();
  const again = openTestStore(t, { writer, file: store.file });
  const { events, streams } = again.committer.sequences;
  assert.deepEqual([events.next(), streams.next()], [3, 2]);
});

testBothWriters("after a crash the next block begins, so that no number is given twice", async (t, writer) => {
  const store = openTestStore(t, { writer });
  await new TestSource(store.committer).writeEvent();
  const again = openTestStore(t, { writer, file: await crash(t, store) });
  const { seq } = await new TestSource(again.committer).writeEvent();
  assert.deepEqual([seq, settings(again)], [BLOCK + 1, { "sequence.events": 2 * BLOCK }]);
});

testBothWriters(
  "a start in use forgets the positions of the stop before: a crash then costs the rest of the block",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    await new TestSource(store.committer).writeEvent();
    await store.close();
    const again = openTestStore(t, { writer, file: store.file });
    assert.deepEqual(settings(again), { "sequence.events": BLOCK });
  },
);

testBothWriters("a number is never used again, whatever was deleted since", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  for (let i = 0; i < 3; i++) await source.writeEvent();
  await store.database.write((trx) => trx.deleteFrom("events").execute());
  assert.equal((await source.writeEvent()).seq, 4);
  await store.database.write((trx) => trx.deleteFrom("events").execute());
  await store.close();
  const again = openTestStore(t, { writer, file: store.file });
  assert.equal((await new TestSource(again.committer).writeEvent()).seq, 5);
});

testBothWriters("the block of a failed set is stored by the next one", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  const failed = await source.write(() => {
    const seq = store.committer.sequences.events.next();
    return { events: eventColumns([{ seq }, { seq }]) };
  });
  assert.equal(failed.ok, false);
  assert.deepEqual(settings(store), {});
  const { seq, outcome } = await source.writeEvent();
  assert.deepEqual([seq, outcome, settings(store)], [2, WRITTEN, { "sequence.events": BLOCK }]);
});

test("a stop that cannot store the positions is not a failure: the next start takes the next block", async (t) => {
  const store = openTestStore(t);
  await new TestSource(store.committer).writeEvent();
  openBeside(
    t,
    store.file,
  ).exec(`create trigger no_positions before insert on settings when new.key like 'sequence.%.last'
    begin select raise(abort, 'no'); end`);
  await store.close();
  assert.deepEqual(
    store.log.lines.map(({ level }) => level),
    ["warn"],
  );
  assert.deepEqual(
    column(openBeside(t, store.file), "select value from settings where key = 'sequence.events.last'"),
    [],
  );
});

test("no order of draws, commits, failures and crashes gives a number twice or out of order", () => {
  const step = fc.constantFrom("draw", "commit", "fail", "crash", "stop");
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 3 }), (steps, near) => {
      const disk = { end: 0, last: undefined as number | undefined };
      const open = (): Sequences => {
        const sequence = new Sequence("events", disk.last ?? disk.end, disk.end);
        disk.last = undefined;
        return new Sequences(sequence, new Sequence("streams", 0, 0));
      };
      let sequences = open();
      // Near the end of a block, where it matters.
      if (near > 0) for (let i = 0; i < BLOCK - near; i++) sequences.events.next();
      let seen = 0;
      let drawn: number[] = [];
      for (const each of steps) {
        if (each === "draw") drawn.push(sequences.events.next());
        else if (each === "commit" || each === "fail") {
          const ends = sequences.unstoredEnds();
          if (each === "commit") {
            for (const number of drawn) assert.ok(number > seen);
            seen = Math.max(seen, ...drawn);
            for (const { end } of ends) disk.end = Math.max(disk.end, end);
            sequences.stored(ends);
            assert.ok(seen <= disk.end, "a number that can be seen lies in a stored block");
          }
          drawn = [];
        } else {
          if (each === "stop") disk.last = sequences.events.last;
          drawn = [];
          sequences = open();
        }
      }
    }),
  );
});

test("a leader goes on where the one before it, or the server before the cluster, stopped", async (t) => {
  const store = openTestStore(t);
  await new TestSource(store.committer).writeEvent();
  await store.close();
  const connection = openBeside(t, store.file);
  endSequenceBlocks(connection);
  const first = readSequences(connection, REPLICATED_BLOCKS);
  assert.deepEqual([first.events.next(), first.streams.next()], [2, 1]);
  const ends = first.unstoredEnds().map(({ name, end }) => [name, end]);
  assert.deepEqual(ends, [
    ["events", 2],
    ["streams", 100],
  ]);
  const write = connection.prepare(
    "insert into settings (key, value, updatedAt) values (?, ?, 0) on conflict (key) do update set value = excluded.value",
  );
  for (const [name, end] of ends) write.run(`sequence.${name}`, end);
  endSequenceBlocks(connection);
  const next = readSequences(connection, REPLICATED_BLOCKS);
  assert.deepEqual([next.events.next(), next.streams.next()], [3, 101]);
});
