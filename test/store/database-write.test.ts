import assert from "node:assert/strict";
import test from "node:test";
import { PrismError } from "../../src/core/errors.ts";
import { deferred } from "../../src/core/promises.ts";
import { Committer } from "../../src/store/commit/committer.ts";
import { addEffect, Database, type Trx } from "../../src/store/database.ts";
import { Scanner } from "../../src/store/scanner.ts";
import { StatementCache } from "../../src/store/sqlite/connection.ts";
import { eventually } from "../helpers/eventually.ts";
import { column, openBeside, openTestStore, type TestStore } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { effect, nameOf } from "./support/effects.ts";
import { TwoSlots } from "./support/two-slots.ts";
import { auditRow, TestSource, WRITTEN } from "./support/write-sets.ts";

const put = (trx: Trx, key: string) => trx.insertInto("settings").values({ key, value: 1, updatedAt: 0 }).execute();
const keys = (store: TestStore) =>
  column<string>(store.reader, "select key from settings where key like 'test.%' order by key");

testBothWriters("a write is on disk when it resolves, with what its callback returned", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const result = await store.database.write(async (trx) => {
    await put(trx, "test.1");
    return "done";
  });
  assert.equal(result, "done");
  assert.deepEqual(column(openBeside(t, store.file), "select value from settings where key = 'test.1'"), [1]);
});

testBothWriters("a write whose callback throws is rolled back, and the error passes as it is", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const error = new PrismError("VERSION_CONFLICT", "changed meanwhile");
  const write = store.database.write(async (trx) => {
    await put(trx, "test.1");
    throw error;
  });
  await assert.rejects(write, (thrown) => thrown === error);
  assert.deepEqual(keys(store), []);
});

testBothWriters(
  "a statement that SQL refuses rejects with SQLite's code, and a caught one can be gone on from",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    await store.database.write(async (trx) => {
      await put(trx, "test.1");
      await assert.rejects(put(trx, "test.1"), { code: "SQLITE_CONSTRAINT_PRIMARYKEY" });
      await put(trx, "test.2");
    });
    assert.deepEqual(keys(store), ["test.1", "test.2"]);
  },
);

testBothWriters("rows, changed rows and affected counts come back as Kysely gives them", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const counts = await store.database.write(async (trx) => {
    await put(trx, "test.1");
    await put(trx, "test.2");
    const updated = await trx
      .updateTable("settings")
      .set({ value: 2 })
      .where("key", "like", "test.%")
      .executeTakeFirst();
    const rows = await trx.selectFrom("settings").select("value").where("key", "like", "test.%").execute();
    const returned = await trx.deleteFrom("settings").where("key", "=", "test.1").returning("key").execute();
    return [updated.numUpdatedRows, rows, returned];
  });
  assert.deepEqual(counts, [2n, [{ value: 2 }, { value: 2 }], [{ key: "test.1" }]]);
});

testBothWriters(
  "a write inside a transaction throws a TypeError at once, for it would wait for itself",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    await store.database.write(async (trx) => {
      await assert.rejects(
        store.database.write(async () => undefined),
        TypeError,
      );
      await put(trx, "test.1");
    });
    assert.deepEqual(keys(store), ["test.1"]);
  },
);

testBothWriters("writeIn joins the transaction it is given and opens one where there is none", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const { database } = store;
  await database.writeIn({}, (trx) => put(trx, "test.alone"));
  const joined = database.write(async (trx) => {
    await database.writeIn({ trx }, (same) => {
      assert.equal(same, trx);
      return put(same, "test.joined");
    });
    throw new Error("rolled back");
  });
  await assert.rejects(joined);
  assert.deepEqual(keys(store), ["test.alone"]);
});

testBothWriters("two writes run one after the other, never inside each other", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const order: string[] = [];
  const write = (name: string) =>
    store.database.write(async (trx) => {
      order.push(`${name} begins`);
      await put(trx, `test.${name}`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${name} ends`);
    });
  await Promise.all([write("a"), write("b"), write("c")]);
  assert.deepEqual(order, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

testBothWriters(
  "what must follow a commit runs in order, once it is on disk and before anything later has the writer",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const order: string[] = [];
    store.database.whenCommitted((applied) => order.push(`${nameOf(applied)}, sees ${keys(store)}`));
    const first = store.database.write(async (trx) => {
      addEffect(trx, effect("first"));
      addEffect(trx, effect("second"));
      await put(trx, "test.1");
    });
    const later = store.database.write(async () => {
      order.push("the next transaction");
    });
    await Promise.all([first, later]);
    assert.deepEqual(order, ["first, sees test.1", "second, sees test.1", "the next transaction"]);
  },
);

testBothWriters("what must follow a commit does not run when there is none", async (t, writer) => {
  const store = openTestStore(t, { writer });
  let ran = false;
  store.database.whenCommitted(() => {
    ran = true;
  });
  const write = store.database.write(async (trx) => {
    addEffect(trx, effect("lost"));
    throw new Error("rolled back");
  });
  await assert.rejects(write);
  assert.equal(ran, false);
});

testBothWriters(
  "a mistake in what follows a commit is logged and does not look like a failed write",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    let isSecondCalled = false;
    store.database.whenCommitted((applied) => {
      if (nameOf(applied) === "first") throw new Error("a mistake");
      isSecondCalled = true;
    });
    await store.database.write(async (trx) => {
      addEffect(trx, effect("first"));
      addEffect(trx, effect("second"));
      await put(trx, "test.1");
    });
    assert.deepEqual([keys(store), isSecondCalled], [["test.1"], true]);
    assert.deepEqual(
      store.log.lines.filter(({ level }) => level === "error").map(({ message }) => message),
      ["applying an effect of a commit failed"],
    );
  },
);

testBothWriters(
  "a query that comes while its transaction commits is refused, not run outside of it",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const commit = deferred<void>();
    let isCommitting = false;
    class GatedCommit extends TwoSlots {
      protected override async beforeCommit(): Promise<void> {
        isCommitting = true;
        await commit.promise;
      }
    }
    const port = new GatedCommit(store.port);
    const committer = new Committer(port, store.committer.sequences, () => undefined);
    const reader = new StatementCache(store.reader);
    const database = new Database({ committer, port, reader, scanner: new Scanner(store.file), log: store.log });
    let kept: Trx | undefined;
    const write = database.write(async (trx) => {
      kept = trx;
      await put(trx, "test.1");
    });
    await eventually("the transaction commits", () => isCommitting);
    assert.ok(kept);
    await assert.rejects(put(kept, "test.stray"), TypeError);
    commit.resolve();
    await write;
    assert.deepEqual(keys(store), ["test.1"]);
  },
);

testBothWriters("a trx is of no use after its transaction", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const { database } = store;
  let kept: Trx | undefined;
  await database.write(async (trx) => {
    kept = trx;
  });
  const trx = kept;
  assert.ok(trx);
  await assert.rejects(put(trx, "test.late"));
  assert.throws(() => database.audit(trx, auditRow()), TypeError);
  assert.throws(() => addEffect(trx, effect("late")), TypeError);
  assert.throws(() => database.nextOffset(trx), TypeError);
  assert.deepEqual(keys(store), []);
});

testBothWriters(
  "a transaction that SQLite has rolled back by itself stores nothing more, its audit rows included",
  async (t, writer) => {
    const store = openTestStore(t, { writer, maxBytes: 700_000 });
    const huge = "x".repeat(2_000_000);
    const write = store.database.write(async (trx) => {
      store.database.audit(trx, auditRow("rule.create"));
      await put(trx, "test.before");
      await trx
        .insertInto("settings")
        .values({ key: "test.huge", value: huge, updatedAt: 0 })
        .execute()
        .catch(() => undefined);
      await put(trx, "test.after").catch(() => undefined);
    });
    await assert.rejects(write);
    assert.deepEqual(keys(store), []);
    assert.deepEqual(column(store.reader, "select count(*) from audit_log"), [0]);
  },
);

testBothWriters("a full database answers STORAGE_FULL, and the writer is free for the next", async (t, writer) => {
  const store = openTestStore(t, { writer, maxBytes: 700_000 });
  const value = "x".repeat(2_000_000);
  await assert.rejects(
    store.database.write((trx) =>
      trx.insertInto("settings").values({ key: "test.huge", value, updatedAt: 0 }).execute(),
    ),
    { code: "STORAGE_FULL" },
  );
  await store.database.write((trx) => put(trx, "test.1"));
  assert.deepEqual(keys(store), ["test.1"]);
});

testBothWriters("a file that another process holds too long answers DATABASE_UNAVAILABLE", async (t, writer) => {
  const store = openTestStore(t, { writer, busyTimeoutMs: 30 });
  const beside = openBeside(t, store.file);
  beside.exec("begin immediate");
  await assert.rejects(
    store.database.write((trx) => put(trx, "test.0")),
    { code: "DATABASE_UNAVAILABLE" },
  );
  beside.exec("commit");
  await store.database.write((trx) => put(trx, "test.1"));
});

testBothWriters(
  "offsets of user streams are drawn in the transaction, and those of a rolled-back one are not given again",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const { database } = store;
    const first = await database.write(async (trx) => [database.nextOffset(trx), database.nextOffset(trx)]);
    await assert.rejects(
      database.write(async (trx) => {
        database.nextOffset(trx);
        throw new Error("rolled back");
      }),
    );
    const second = await database.write(async (trx) => database.nextOffset(trx));
    assert.deepEqual([first, second], [[1, 2], 4]);
    assert.deepEqual(column(store.reader, "select value from settings where key = 'sequence.streams'"), [100_000]);
  },
);

testBothWriters("a transaction between two sets sees the first, and the second sees it", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  const first = source.writeEvent({ type: "first" });
  const seen = store.database.write((trx) => trx.selectFrom("events").select("type").execute());
  await first;
  await eventually("the transaction is over", async () => (await seen) !== undefined);
  const second = source.write(() => {
    assert.deepEqual(column(store.reader, "select type from events"), ["first"]);
    return {};
  });
  assert.deepEqual([await seen, await second], [[{ type: "first" }], WRITTEN]);
});

test("work that outlives its transaction is outside of it: later writes of it are its own", async (t) => {
  const store = openTestStore(t);
  let left: Promise<void> | undefined;
  const gate = deferred<void>();
  await store.database.write(async () => {
    left = (async () => {
      await gate.promise;
      await store.database.write((trx) => put(trx, "test.left"));
    })();
  });
  const other = store.database.write(async (trx) => {
    gate.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    await put(trx, "test.other");
  });
  await Promise.all([other, left]);
  assert.deepEqual(keys(store), ["test.left", "test.other"]);
});

test("reads have no transactions and cannot change anything", async (t) => {
  const { database } = openTestStore(t);
  await assert.rejects(
    database.read.transaction().execute(async () => undefined),
    TypeError,
  );
  await assert.rejects(database.read.insertInto("settings").values({ key: "k", value: 1, updatedAt: 0 }).execute(), {
    code: "SQLITE_READONLY",
  });
});
