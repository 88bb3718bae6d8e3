import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { runAs } from "../../src/core/caller.ts";
import { deferred } from "../../src/core/promises.ts";
import { lastAuditSeq, verifyAudit } from "../../src/features/records/audit/audit-log.ts";
import { Committer } from "../../src/store/commit/committer.ts";
import { addEffect, Database, MustCommitAlone, type Trx } from "../../src/store/database.ts";
import type { Effect } from "../../src/store/effect.ts";
import { Scanner } from "../../src/store/scanner.ts";
import { StatementCache } from "../../src/store/sqlite/connection.ts";
import { column, openBeside, openTestStore, type WriterKind } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { effect, nameOf } from "./support/effects.ts";
import { runOn } from "./support/statements-of.ts";
import { TwoSlots } from "./support/two-slots.ts";
import { auditRow, TestSource } from "./support/write-sets.ts";

const SHARED = { sharesCommit: true } as const;

const put = (trx: Trx, key: string) => trx.insertInto("settings").values({ key, value: 1, updatedAt: 0 }).execute();

/** Counts commits, and lets them fail. */
class CountingPort extends TwoSlots {
  commits = 0;
  failure: Error | null = null;

  protected override async beforeCommit(): Promise<void> {
    this.commits++;
    if (this.failure) throw this.failure;
  }
}

function world(t: TestContext, writer: WriterKind) {
  const store = openTestStore(t, { writer });
  const port = new CountingPort(store.port);
  const committer = new Committer(port, store.committer.sequences, () => undefined, 60_000);
  const reader = new StatementCache(store.reader);
  const database = new Database({ committer, port, reader, scanner: new Scanner(store.file), log: store.log });
  const keys = () => column<string>(store.reader, "select key from settings where key like 'test.%' order by key");
  return { store, port, committer, database, keys };
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `test.${String(i).padStart(3, "0")}`);

testBothWriters("writes that wait together share a commit, and each is on disk when it resolves", async (t, writer) => {
  const { store, port, database, keys } = world(t, writer);
  const beside = openBeside(t, store.file);
  const writes = names(40).map(async (name) => {
    await database.write((trx) => put(trx, name), SHARED);
    assert.deepEqual(column(beside, "select value from settings where key = ?", name), [1]);
  });
  await Promise.all(writes);
  assert.equal(keys().length, 40);
  assert.ok(port.commits < 20, `${port.commits} commits for 40 writes`);
});

testBothWriters("a write that fails takes back only its own rows", async (t, writer) => {
  const { port, database, keys } = world(t, writer);
  const results = await Promise.allSettled(
    names(9).map((name, i) =>
      database.write(async (trx) => {
        await put(trx, name);
        if (i % 3 === 0) throw new Error(`refused ${i}`);
      }, SHARED),
    ),
  );
  assert.deepEqual(
    results.map(({ status }) => status === "fulfilled"),
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => i % 3 !== 0),
  );
  assert.deepEqual(
    keys(),
    names(9).filter((_, i) => i % 3 !== 0),
  );
  assert.ok(port.commits < 6);
});

testBothWriters(
  "a commit that fails fails every write that shares it, and what should follow does not run",
  async (t, writer) => {
    const { port, database, keys } = world(t, writer);
    port.failure = new Error("the disk failed");
    let hasFollowed = false;
    database.whenCommitted(() => {
      hasFollowed = true;
    });
    const results = await Promise.allSettled(
      names(5).map((name) =>
        database.write(async (trx) => {
          addEffect(trx, effect(name));
          await put(trx, name);
        }, SHARED),
      ),
    );
    assert.ok(results.every((result) => result.status === "rejected" && /the disk failed/.test(String(result.reason))));
    assert.deepEqual([keys(), hasFollowed], [[], false]);
    port.failure = null;
    await database.write((trx) => put(trx, "test.after"));
    assert.deepEqual(keys(), ["test.after"]);
  },
);

testBothWriters(
  "when SQLite rolls back the whole transaction, every write of it fails and later ones do not",
  async (t, writer) => {
    const { port, database, keys } = world(t, writer);
    const write = (name: string, fn: (trx: Trx) => Promise<unknown> = async () => undefined) =>
      database.write(async (trx) => {
        await put(trx, name);
        await fn(trx);
      }, SHARED);
    const results = await Promise.allSettled([
      write("test.1"),
      write("test.2", async (trx) => {
        await runOn(port, "rollback");
        await put(trx, "test.lost");
      }),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    await write("test.3");
    assert.deepEqual(keys(), ["test.3"]);
  },
);

testBothWriters(
  "what follows a shared commit runs after it, in the order of the writes, before anything else has the writer",
  async (t, writer) => {
    const { database, keys } = world(t, writer);
    const order: string[] = [];
    database.whenCommitted((applied) => order.push(`${nameOf(applied)} sees ${keys().length}`));
    const shared = names(3).map((name) =>
      database.write(async (trx) => {
        addEffect(trx, effect(name));
        await put(trx, name);
      }, SHARED),
    );
    const alone = database.write(async () => void order.push("alone"));
    await Promise.all([...shared, alone]);
    assert.deepEqual(order, ["test.000 sees 3", "test.001 sees 3", "test.002 sees 3", "alone"]);
  },
);

testBothWriters("audit rows of writes that share a commit are one whole chain", async (t, writer) => {
  const { store, database } = world(t, writer);
  await Promise.allSettled(
    names(12).map((name, i) =>
      database.write(async (trx) => {
        await put(trx, name);
        database.audit(trx, auditRow());
        if (i % 4 === 0) throw new Error("refused");
      }, SHARED),
    ),
  );
  const { read } = store.database;
  const last = await lastAuditSeq(read);
  assert.deepEqual([last, (await verifyAudit(read, store.auditKey, last)).ok], [9, true]);
});

testBothWriters("a change of alerts is refused in a commit with others, and fails alone", async (t, writer) => {
  const { database, keys } = world(t, writer);
  const write = (name: string, options: object, ...effects: Effect[]) =>
    database.write(async (trx) => {
      await put(trx, name);
      for (const each of effects) addEffect(trx, each);
    }, options);
  const changed: Effect = { type: "alerts-changed", alerts: [] };
  const results = await Promise.allSettled([
    write("test.1", SHARED),
    write("test.2", SHARED, changed),
    write("test.3", SHARED),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  await write("test.4", {}, changed);
  assert.deepEqual(keys(), ["test.1", "test.3", "test.4"]);
});

testBothWriters(
  "one that finds that it must commit alone keeps its place, and leaves nothing of its try",
  async (t, writer) => {
    const { database, keys } = world(t, writer);
    const order: string[] = [];
    database.whenCommitted((applied) => order.push(nameOf(applied)));
    const store = async (trx: Trx, name: string): Promise<void> => {
      addEffect(trx, effect(name));
      await put(trx, name);
    };
    await Promise.all([
      database.write((trx) => store(trx, "test.1"), SHARED),
      database.writeSharedIfPossible(async (trx, sharesCommit) => {
        await store(trx, sharesCommit ? "test.try" : "test.2");
        if (sharesCommit) throw new MustCommitAlone();
      }),
      database.write((trx) => store(trx, "test.3"), SHARED),
      database.write((trx) => store(trx, "test.4")),
    ]);
    const names = ["test.1", "test.2", "test.3", "test.4"];
    assert.deepEqual([order, keys()], [names, names]);
  },
);

for (const [which, options] of [
  ["", {}],
  [" that may share a commit", SHARED],
] as const)
  testBothWriters(`a set waits for one transaction, however many${which} wait before it`, async (t, writer) => {
    const { committer, database } = world(t, writer);
    const order: string[] = [];
    const writes = names(50).map((name) =>
      database.write(async (trx) => {
        await put(trx, name);
        order.push(name);
      }, options),
    );
    const source = new TestSource(committer);
    const set = source.write(() => {
      order.push("set");
      return {};
    });
    await Promise.all([...writes, set]);
    assert.ok(order.indexOf("set") <= 2, `the set was number ${order.indexOf("set")}`);
  });

test("requests are refused with OVERLOADED when too many writes wait; jobs are not", async (t) => {
  const { committer } = world(t, "main");
  await committer.acquireTransaction();
  const request = { principal: null, process: "request", ip: null, requestId: "1", correlationId: null } as const;
  const waiting = Array.from({ length: 2000 }, () => runAs(request, () => committer.acquireTransaction()));
  for (const each of waiting) each.catch(() => undefined);
  await assert.rejects(
    runAs(request, () => committer.acquireTransaction()),
    { code: "OVERLOADED" },
  );
  const job = committer.acquireTransaction();
  const closed = committer.close();
  await assert.rejects(job, { code: "SHUTTING_DOWN" });
  committer.releaseTransaction();
  await closed;
});

for (const [position, stuckAt] of [
  ["first", 0],
  ["in the middle", 1],
  ["last", 2],
] as const)
  testBothWriters(
    `a write that holds the writer for 5 s takes back only its own rows, ${position} of those that share a commit`,
    async (t, writer) => {
      const { database, keys } = world(t, writer);
      t.mock.timers.enable({ apis: ["setTimeout"] });
      const inside = deferred<Trx>();
      const followed: string[] = [];
      database.whenCommitted((applied) => followed.push(nameOf(applied)));
      const writes = names(3).map((name, i) =>
        database.write(async (trx) => {
          addEffect(trx, effect(name));
          await put(trx, name);
          if (i !== stuckAt) return;
          inside.resolve(trx);
          await new Promise(() => undefined);
        }, SHARED),
      );
      const ended = Promise.allSettled(writes);
      const stuck = await inside.promise;
      t.mock.timers.tick(5000);
      const codes = (await ended).map((end) => (end.status === "rejected" ? end.reason.code : null));
      assert.deepEqual(
        codes,
        codes.map((_, i) => (i === stuckAt ? "DATABASE_UNAVAILABLE" : null)),
      );
      const others = names(3).filter((_, i) => i !== stuckAt);
      assert.deepEqual([keys(), followed], [others, others]);
      await assert.rejects(put(stuck, "test.late"), { code: "DATABASE_UNAVAILABLE" });
      await database.write((trx) => put(trx, "test.next"), SHARED);
      assert.deepEqual(keys(), [...others, "test.next"]);
    },
  );
