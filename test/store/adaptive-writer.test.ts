import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { sql } from "kysely";
import { eventually } from "../helpers/eventually.ts";
import { column, openBeside, openTestStore, type TestStore } from "../helpers/store.ts";
import { eventColumns, failureOfOutcome, TestSource } from "./support/write-sets.ts";

const BUSY = 250;
/** Events of a set that is not small. */
const LARGE = 25;

/** As many events as make the writer move, in sets, for transactions between them. */
async function beBusy(store: TestStore, events = BUSY): Promise<void> {
  const source = new TestSource(store.committer);
  for (let left = events; left > 0; left -= LARGE) {
    const outcome = await source.write(() => {
      const seqs = Array.from({ length: Math.min(left, LARGE) }, () => store.committer.sequences.events.next());
      return { events: eventColumns(seqs.map((seq) => ({ seq }))) };
    });
    assert.ok(outcome.ok);
  }
}

const TO_THREAD = "moved the writer to a thread of its own";
const TO_MAIN = "moved the writer back to the main thread";

function movesOf(store: TestStore): string[] {
  return store.log.lines.map(({ message }) => message).filter((each) => each === TO_THREAD || each === TO_MAIN);
}

const hasMoved = (store: TestStore): boolean => movesOf(store).length > 0;

/** The clock of the main thread, which a test sets forward between commits. */
function steppingClock(t: TestContext): { step(ms: number): void } {
  const now = performance.now.bind(performance);
  let aheadMs = 0;
  t.mock.method(performance, "now", () => now() + aheadMs);
  return {
    step(ms) {
      aheadMs += ms;
    },
  };
}

/** Longer than the longest time that decides, but for that after a commit that hung. */
const LONG_MS = 100_000;

/**
 * Makes every insert of an event take long, in any connection: what a slow disk is to the writer.
 * @returns sets its work; a millisecond is about ten thousand steps
 */
function slowEvents(t: TestContext, file: string): (steps: number) => void {
  const beside = openBeside(t, file);
  beside.exec(`create table slowness (steps integer not null);
    insert into slowness values (0);
    create view slow as with recursive n (i) as (select 1 union all select i + 1 from n where i < (select steps from slowness))
      select count(*) as steps from n;
    create trigger slow_events after insert on events begin update slowness set steps = steps where (select steps from slow) < 0; end;`);
  return (steps) => beside.prepare("update slowness set steps = ?").run(steps);
}

const STEPS_OF_20_MS = 200_000;

async function writeOne(store: TestStore): Promise<void> {
  const { outcome } = await new TestSource(store.committer).writeEvent();
  assert.ok(outcome.ok);
}

test("the writer moves to a thread when there is much to do, and nothing is lost or doubled on the way", async (t) => {
  const store = openTestStore(t, { writer: "adaptive" });
  let isDone = false;
  const transactions = (async () => {
    let count = 0;
    while (!isDone) {
      await store.database.write(async (trx) => {
        await trx
          .insertInto("settings")
          .values({ key: `test.${count}`, value: "1", updatedAt: 0 })
          .execute();
      });
      count++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return count;
  })();
  let bursts = 0;
  // On a machine that others keep busy one burst may be too little for a second.
  await eventually("the writer has moved", async () => {
    await beBusy(store);
    bursts++;
    return hasMoved(store);
  });
  await beBusy(store);
  isDone = true;
  const count = await transactions;
  const beside = openBeside(t, store.file);
  assert.deepEqual(
    column(beside, "select seq from events order by seq"),
    Array.from({ length: (bursts + 1) * BUSY }, (_, i) => i + 1),
  );
  assert.deepEqual(column(beside, "select count(*) from settings where key like 'test.%'"), [count]);
});

test("transactions that block the event loop for long move it as well", async (t) => {
  const store = openTestStore(t, { writer: "adaptive" });
  let steps = 100_000;
  // Longer each time, so that one is long enough on any machine.
  await eventually("the writer has moved", async () => {
    const count = sql`with recursive n (i) as (select 1 union all select i + 1 from n where i < ${steps})
      select count(*) from n`;
    await store.database.write((trx) => count.execute(trx));
    steps *= 2;
    return hasMoved(store);
  });
  await beBusy(store, 1);
  assert.deepEqual(column(openBeside(t, store.file), "select count(*) from events"), [1]);
});

test("it stays in the main thread while there is little to do", async (t) => {
  // A slow disk is much to do.
  t.mock.method(performance, "now", () => 0);
  const store = openTestStore(t, { writer: "adaptive" });
  const source = new TestSource(store.committer);
  for (let i = 0; i < 5; i++) assert.ok((await source.writeEvent()).outcome.ok);
  assert.equal(hasMoved(store), false);
});

test("a store that is closed in the middle of the move closes cleanly", async (t) => {
  const store = openTestStore(t, { writer: "adaptive" });
  await beBusy(store);
  await store.close();
  assert.deepEqual(store.deaths, []);
  assert.deepEqual(column(openBeside(t, store.file), "select count(*) from events"), [BUSY]);
});

test("it comes back when commits are small and quick again, and moves again, and nothing is lost or doubled", async (t) => {
  const clock = steppingClock(t);
  const store = openTestStore(t, { writer: "adaptive" });
  let isDone = false;
  let events = 0;
  const transactions = (async () => {
    let count = 0;
    for (; !isDone; count++) {
      const key = `test.${count}`;
      await store.database.write((trx) =>
        trx.insertInto("settings").values({ key, value: "1", updatedAt: 0 }).execute(),
      );
      await new Promise((resolve) => setImmediate(resolve));
    }
    return count;
  })();
  for (let round = 1; round <= 3; round++) {
    await eventually("the writer has moved to its thread", async () => {
      await beBusy(store);
      events += BUSY;
      return movesOf(store).length === 2 * round - 1;
    });
    await eventually("it is back in the main thread", async () => {
      clock.step(LONG_MS);
      await writeOne(store);
      events++;
      return movesOf(store).length === 2 * round;
    });
  }
  isDone = true;
  const count = await transactions;
  assert.deepEqual(movesOf(store), [TO_THREAD, TO_MAIN, TO_THREAD, TO_MAIN, TO_THREAD, TO_MAIN]);
  assert.deepEqual(store.deaths, []);
  const beside = openBeside(t, store.file);
  assert.deepEqual(
    column(beside, "select seq from events order by seq"),
    Array.from({ length: events }, (_, i) => i + 1),
  );
  assert.deepEqual(column(beside, "select count(*) from settings where key like 'test.%'"), [count]);
});

test("a disk that takes 20 ms for a commit sends the writer to its thread and keeps it there", async (t) => {
  const clock = steppingClock(t);
  const store = openTestStore(t, { writer: "adaptive" });
  const setSteps = slowEvents(t, store.file);
  setSteps(STEPS_OF_20_MS);
  await eventually("the writer has moved to its thread", async () => {
    await writeOne(store);
    return hasMoved(store);
  });
  for (let i = 0; i < 10; i++) {
    clock.step(LONG_MS);
    await writeOne(store);
  }
  assert.deepEqual(movesOf(store), [TO_THREAD]);
  setSteps(0);
  await eventually("the disk is quick again, and the writer is back", async () => {
    clock.step(LONG_MS);
    await writeOne(store);
    return movesOf(store).includes(TO_MAIN);
  });
});

test("while a disk hangs only the first commit blocks the event loop, and afterwards the writer stays in its thread", async (t) => {
  const clock = steppingClock(t);
  const store = openTestStore(t, { writer: "adaptive" });
  await writeOne(store);
  // Another program holds the file: the connection waits, as it does for a disk.
  const beside = openBeside(t, store.file);
  beside.exec("begin immediate");
  const source = new TestSource(store.committer);
  assert.equal(failureOfOutcome((await source.writeEvent()).outcome), "busy");
  await eventually("the writer has moved to its thread", () => hasMoved(store));
  const hanging = source.writeEvent();
  let turns = 0;
  const endsAt = Date.now() + 1200;
  while (Date.now() < endsAt) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    turns++;
  }
  beside.exec("rollback");
  assert.ok((await hanging).outcome.ok);
  assert.ok(turns > 3, `the event loop went on: ${turns} turns`);
  for (let i = 0; i < 2; i++) {
    clock.step(LONG_MS);
    await writeOne(store);
  }
  assert.deepEqual(movesOf(store), [TO_THREAD]);
});

test("a store that is closed in the middle of the way back closes cleanly", async (t) => {
  const clock = steppingClock(t);
  const store = openTestStore(t, { writer: "adaptive" });
  await eventually("the writer has moved to its thread", async () => {
    await beBusy(store);
    return hasMoved(store);
  });
  const stored = column<number>(openBeside(t, store.file), "select count(*) from events")[0] ?? 0;
  clock.step(LONG_MS);
  await writeOne(store);
  clock.step(LONG_MS);
  await writeOne(store);
  await store.close();
  assert.deepEqual(store.deaths, []);
  assert.deepEqual(column(openBeside(t, store.file), "select count(*) from events"), [stored + 2]);
});
