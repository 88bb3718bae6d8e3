import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { Committer, emptyContent } from "../../src/store/commit/committer.ts";
import { eventually } from "../helpers/eventually.ts";
import { column, openBeside, openTestStore } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { TwoSlots } from "./support/two-slots.ts";
import { effectsOf, eventColumns, TestSource, WRITTEN } from "./support/write-sets.ts";

testBothWriters("a set is on disk, for every connection to see, when its outcome is told", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const beside = openBeside(t, store.file);
  const source = new TestSource(store.committer);
  const { seq, outcome } = await source.writeEvent({ type: "door.opened" });
  assert.deepEqual(outcome, WRITTEN);
  assert.deepEqual(column(beside, "select type from events where seq = ?", seq), ["door.opened"]);
  assert.deepEqual(store.commits, [1]);
});

testBothWriters(
  "offsets are given in commit order, and a later set is never there without an earlier one",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const source = new TestSource(store.committer);
    const settled: number[] = [];
    const writes = Array.from({ length: 200 }, async () => {
      const { seq, outcome } = await source.writeEvent();
      assert.ok(outcome.ok);
      settled.push(seq);
      const [count] = column<number>(store.reader, "select count(*) from events where seq <= ?", seq);
      assert.equal(count, seq, "every event before this one is there");
    });
    await Promise.all(writes);
    assert.deepEqual(
      settled,
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
  },
);

testBothWriters(
  "a transaction is granted when no set is in flight, and no set is sealed while it is open",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const committer = new Committer(new TwoSlots(store.port), store.committer.sequences, () => undefined);
    const order: string[] = [];
    const write = async (name: string): Promise<void> => {
      await new TestSource(committer).write(() => {
        order.push(`seal ${name}`);
        return {};
      });
      order.push(`stored ${name}`);
    };
    const first = write("1");
    const second = write("2");
    const transaction = committer.acquireTransaction().then(async () => {
      order.push("transaction begins");
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
      order.push("transaction ends");
      committer.releaseTransaction();
    });
    await Promise.all([first, second]);
    const third = write("3");
    await Promise.all([transaction, third]);
    assert.deepEqual(order, [
      "seal 1",
      "seal 2",
      "stored 1",
      "stored 2",
      "transaction begins",
      "transaction ends",
      "seal 3",
      "stored 3",
    ]);
  },
);

testBothWriters("after a transaction the sets that wait are written, then the next transaction", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const order: string[] = [];
  const sources = [1, 2, 3].map(() => new TestSource(store.committer));
  const work: Promise<unknown>[] = [];
  sources.forEach((source, i) => {
    work.push(
      source.write(() => {
        order.push(`set ${i}`);
        return {};
      }),
      store.committer.acquireTransaction().then(() => {
        order.push(`transaction ${i}`);
        store.committer.releaseTransaction();
      }),
    );
  });
  await Promise.all(work);
  assert.deepEqual(order, ["set 0", "transaction 0", "set 1", "set 2", "transaction 1", "transaction 2"]);
});

testBothWriters(
  "sets that waited for a long transaction go first for as long as it had the writer",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const port = new TwoSlots(store.port);
    // Each set takes 1 ms.
    let spentMs = 0;
    Object.defineProperty(port, "spentMs", { get: () => spentMs });
    const committer = new Committer(port, store.committer.sequences, () => void spentMs++);
    const order: string[] = [];
    const source = new TestSource(committer);
    // A client that sends again when it is answered.
    const sending = (async () => {
      while (order.filter((each) => each === "transaction").length < 2) {
        await source.write(() => ({}));
        order.push("set");
      }
    })();
    const transaction = async (ms: number): Promise<void> => {
      await committer.acquireTransaction();
      order.push("transaction");
      await new Promise((resolve) => setTimeout(resolve, ms));
      committer.releaseTransaction();
    };
    await Promise.all([transaction(20), transaction(0), sending]);
    const between = order.lastIndexOf("transaction") - order.indexOf("transaction") - 1;
    assert.ok(between >= 15 && between <= 60, `${between} sets between the transactions`);
  },
);

testBothWriters("a transaction waits for no set that does not come", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const { committer } = store;
  await committer.acquireTransaction();
  const waiting = new TestSource(committer).write(() => ({}));
  const next = committer.acquireTransaction();
  await new Promise((resolve) => setTimeout(resolve, 20));
  committer.releaseTransaction();
  await waiting;
  await next;
  committer.releaseTransaction();
});

testBothWriters("what arrives in one turn of the loop goes in one set", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const pending: number[] = [];
  const seals: number[] = [];
  const source = {
    seal() {
      seals.push(pending.length);
      pending.length = 0;
      return null;
    },
  };
  for (let i = 0; i < 10; i++) {
    pending.push(i);
    store.committer.wantSet(source);
  }
  assert.deepEqual(seals, [], "not before the turn is over");
  await store.committer.settled();
  assert.deepEqual(seals, [10]);
});

testBothWriters(
  "concurrent sets and transactions lose no row and never see each other half done",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const step = fc.record({
      kind: fc.constantFrom("set", "transaction", "rolled back"),
      turns: fc.integer({ min: 0, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const run = crypto.randomUUID();
        const source = new TestSource(store.committer);
        let expected = 0;
        const work = steps.map(async ({ kind, turns }, i) => {
          for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
          if (kind === "set") {
            expected++;
            return source.writeEvent({ type: run });
          }
          if (kind === "transaction") expected += 2;
          return store.database
            .write(async (trx) => {
              const add = (half: number) =>
                trx
                  .insertInto("settings")
                  .values({ key: `${run} ${i} ${half}`, value: 1, updatedAt: 0 })
                  .execute();
              await add(1);
              await new Promise((resolve) => setImmediate(resolve));
              await add(2);
              if (kind === "rolled back") throw new Error("rolled back");
            })
            .catch((error: Error) => assert.equal(error.message, "rolled back"));
        });
        await Promise.all(work);
        const [events] = column<number>(store.reader, "select count(*) from events where type = ?", run);
        const [settings] = column<number>(store.reader, "select count(*) from settings where key like ?", `${run}%`);
        assert.equal((events ?? 0) + (settings ?? 0), expected);
      }),
      { numRuns: 15 },
    );
  },
);

testBothWriters("a delivered mark rides with the next set", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  await source.write(() => ({ events: eventColumns([{ seq: 1 }]), effects: [effectsOf(1, 10)] }));
  store.committer.markDelivered({ userId: "user-1", seq: 10, at: 5 });
  await source.write(() => ({ events: eventColumns([{ seq: 2 }]) }));
  assert.deepEqual(column(store.reader, "select deliveredAt from notification_recipients"), [5]);
  assert.deepEqual(column(store.reader, "select deliveredAt from notifications where delivered = 1"), [5]);
});

testBothWriters("a delivered mark is written soon when no other set comes", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  await source.write(() => ({ events: eventColumns([{ seq: 1 }]), effects: [effectsOf(1, 10)] }));
  store.committer.markDelivered({ userId: "user-1", seq: 10, at: 5 });
  await eventually(
    "the mark is on disk",
    () => column(store.reader, "select 1 from notification_recipients where delivered = 1").length > 0,
  );
});

test("a notification counts as delivered when every recipient has it", async (t) => {
  const store = openTestStore(t);
  const source = new TestSource(store.committer);
  const effects = effectsOf(1, 10);
  const [first] = effects.recipients;
  assert.ok(first);
  await source.write(() => ({
    events: eventColumns([{ seq: 1 }]),
    effects: [{ ...effects, recipients: [first, { ...first, userId: "user-2", seq: 11 }] }],
  }));
  const delivered = (): unknown[] => column(store.reader, "select delivered from notifications");
  store.committer.markDelivered({ userId: "user-1", seq: 10, at: 5 });
  await store.committer.settled();
  assert.deepEqual(delivered(), [0]);
  store.committer.markDelivered({ userId: "user-2", seq: 11, at: 6 });
  store.committer.markDelivered({ userId: "user-2", seq: 11, at: 7 });
  await store.committer.settled();
  assert.deepEqual(delivered(), [1]);
  assert.deepEqual(column(store.reader, "select deliveredAt from notification_recipients order by seq"), [5, 6]);
});

test("in the main thread the event loop turns between two sets, however many wait", async (t) => {
  const { committer } = openTestStore(t, { writer: "main" });
  const turns: number[] = [];
  let turn = 0;
  const counting = setInterval(() => turn++, 0);
  t.after(() => clearInterval(counting));
  let next = 0;
  const done = new Promise<void>((resolve) => {
    const source = {
      seal() {
        turns.push(turn);
        if (++next < 20) committer.wantSet(source);
        const until = performance.now() + 3;
        while (performance.now() < until);
        return {
          content: { ...emptyContent(), events: eventColumns([{ seq: next }]) },
          settle: () => (next === 20 ? resolve() : undefined),
        };
      },
    };
    committer.wantSet(source);
  });
  await done;
  assert.ok(new Set(turns).size > 10, `sets of the same turn: ${turns}`);
});
