import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import { eventually } from "../helpers/eventually.ts";
import { column, openBeside, openTestStore, type TestStore } from "../helpers/store.ts";
import { TestSource } from "./support/write-sets.ts";

const BUSY = 250;

/**
 * As many events as make the writer move, in sets of their own and in transactions between them.
 */
async function beBusy(store: TestStore, events = BUSY): Promise<void> {
  const source = new TestSource(store.committer);
  for (let i = 0; i < events; i++) {
    const { outcome } = await source.writeEvent();
    assert.ok(outcome.ok);
  }
}

const hasMoved = (store: TestStore): boolean =>
  store.log.lines.some((line) => line.message === "moved the writer to a thread of its own");

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
