import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import test from "node:test";
import { SealedBox, UnsealError } from "../../src/core/crypto/sealed-box.ts";
import { silentLogger } from "../../src/core/log.ts";
import { DataDirLock } from "../../src/store/sqlite/data-dir-lock.ts";
import { commitError, failureOf } from "../../src/store/sqlite/sqlite-errors.ts";
import { openStore } from "../../src/store/store.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { column, openBeside, openTestStore, temporaryDatabase, temporaryDir } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { runOn } from "./support/statements-of.ts";
import { TestSource } from "./support/write-sets.ts";

testBothWriters(
  "the writing connection syncs every commit, checks foreign keys, fires triggers of triggers and trusts no schema",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const pragmas = ["journal_mode", "synchronous", "foreign_keys", "recursive_triggers", "trusted_schema"];
    await store.port.ask({ op: "begin" });
    const values = [];
    for (const name of pragmas) values.push(...(await runOn(store.port, `pragma ${name}`)));
    await store.port.rollback();
    assert.deepEqual(values, [
      { journal_mode: "wal" },
      { synchronous: 2 },
      { foreign_keys: 1 },
      { recursive_triggers: 1 },
      { trusted_schema: 0 },
    ]);
  },
);

testBothWriters("S1-13 S2-113 S3-06 one connection writes and the others can only read", async (t, writer) => {
  const store = openTestStore(t, { writer });
  assert.throws(() => store.reader.exec("insert into settings (key, value, updatedAt) values ('k', 1, 1)"), {
    code: "SQLITE_READONLY",
  });
  for (const db of [store.database.read, store.database.scan])
    await assert.rejects(db.insertInto("settings").values({ key: "k", value: 1, updatedAt: 0 }).execute(), {
      code: "SQLITE_READONLY",
    });
});

testBothWriters(
  "S1-42 readers stand apart from the writer: they never wait for it, and see the last commit",
  async (t, writer) => {
    keepsPromise(t, "S2-113");
    const store = openTestStore(t, { writer });
    const { database } = store;
    const count = async (db: typeof database.read): Promise<number> => {
      const rows = await db.selectFrom("settings").select("key").where("key", "like", "test.%").execute();
      return rows.length;
    };
    await database.write(async (trx) => {
      await trx.insertInto("settings").values({ key: "test.1", value: 1, updatedAt: 0 }).execute();
      assert.deepEqual([await count(database.read), await count(database.scan)], [0, 0]);
    });
    assert.deepEqual([await count(database.read), await count(database.scan)], [1, 1]);
  },
);

testBothWriters("S1-45 no number of reads, writes and sets at once runs out of connections", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const { database } = store;
  const source = new TestSource(store.committer);
  const work: Promise<unknown>[] = [];
  for (let i = 0; i < 300; i++) {
    work.push(database.read.selectFrom("users").selectAll().execute(), source.writeEvent());
    if (i % 3 === 0) work.push(database.scan.selectFrom("users").selectAll().execute());
    if (i % 3 === 1)
      work.push(
        database.write((trx) =>
          trx
            .insertInto("settings")
            .values({ key: `k${i}`, value: 1, updatedAt: 0 })
            .execute(),
        ),
      );
  }
  await Promise.all(work);
  assert.deepEqual(column(store.reader, "select count(*) from events"), [300]);
});

testBothWriters("a graceful stop leaves one file: the write-ahead log is in it", async (t, writer) => {
  const store = openTestStore(t, { writer });
  await new TestSource(store.committer).writeEvent();
  assert.ok(store.sizes().walBytes > 0);
  await store.close();
  assert.equal(existsSync(`${store.file}-wal`), false);
  assert.deepEqual(column(openBeside(t, store.file), "select count(*) from events"), [1]);
});

testBothWriters("sizes are those of the files on disk", async (t, writer) => {
  const store = openTestStore(t, { writer });
  await new TestSource(store.committer).writeEvent();
  assert.deepEqual(store.sizes(), {
    databaseBytes: statSync(store.file).size,
    walBytes: statSync(`${store.file}-wal`).size,
  });
});

testBothWriters("whether the database can be written is found out in turn with other writes", async (t, writer) => {
  const store = openTestStore(t, { writer, busyTimeoutMs: 20 });
  assert.equal(await store.canWrite(), true);
  const beside = openBeside(t, store.file);
  beside.exec("begin immediate");
  assert.equal(await store.canWrite(), false);
  beside.exec("commit");
  assert.equal(await store.canWrite(), true);
});

test("a database whose audit key was sealed under another encryption key is not opened", (t) => {
  const file = temporaryDatabase(t);
  const open = (byte: number): ReturnType<typeof openStore> =>
    openStore({
      file,
      box: new SealedBox([new Uint8Array(32).fill(byte)]),
      writer: "main",
      isOwner: false,
      log: silentLogger,
      onCommit: () => undefined,
      onWriterDeath: () => undefined,
    });
  const store = open(1);
  t.after(() => store.close());
  assert.throws(() => open(2), UnsealError);
});

test("a data directory is held by one process at a time, and free again when it lets go", (t) => {
  const dir = temporaryDir(t);
  const places = { dataDir: dir, databaseFile: `${dir}/prism.db` };
  const lock = DataDirLock.tryAcquire(places);
  assert.ok(lock);
  assert.equal(DataDirLock.tryAcquire(places), undefined);
  lock.release();
  const again = DataDirLock.tryAcquire(places);
  assert.ok(again);
  again.release();
  assert.equal(statSync(`${dir}/prism.lock`).mode & 0o777, 0o600);
});

test("each error of SQLite counts as what it means to a caller", async (t) => {
  for (const { code, failure, answer } of [
    { code: "SQLITE_FULL", failure: "full", answer: "STORAGE_FULL" },
    { code: "SQLITE_IOERR_WRITE", failure: "broken", answer: "DATABASE_UNAVAILABLE" },
    { code: "SQLITE_IOERR_SHMSIZE", failure: "full", answer: "STORAGE_FULL" },
    { code: "SQLITE_BUSY", failure: "busy", answer: "DATABASE_UNAVAILABLE" },
    { code: "SQLITE_BUSY_SNAPSHOT", failure: "busy", answer: "DATABASE_UNAVAILABLE" },
    { code: "SQLITE_LOCKED", failure: "busy", answer: "DATABASE_UNAVAILABLE" },
    { code: "SQLITE_READONLY_DBMOVED", failure: "readonly", answer: "DATABASE_UNAVAILABLE" },
    { code: "SQLITE_CANTOPEN", failure: "readonly", answer: "DATABASE_UNAVAILABLE" },
    { code: "SQLITE_PERM", failure: "readonly", answer: "DATABASE_UNAVAILABLE" },
    { code: "SQLITE_IOERR_FSYNC", failure: "broken", answer: "DATABASE_UNAVAILABLE" },
    { code: "SQLITE_CORRUPT", failure: "broken", answer: "DATABASE_UNAVAILABLE" },
    { code: "THREAD_GONE", failure: "closed", answer: "DATABASE_UNAVAILABLE" },
    { code: "SQLITE_CONSTRAINT_UNIQUE", failure: "internal", answer: "INTERNAL" },
    { code: "ENOENT", failure: "internal", answer: "INTERNAL" },
  ] as const)
    await t.test(code, () => {
      const cause = Object.assign(new Error("secret words of the engine"), { code });
      const error = commitError(failureOf(cause), cause);
      assert.deepEqual([failureOf(cause), error.code], [failure, answer]);
      assert.equal(error.cause, cause);
      assert.doesNotMatch(error.message, /secret/);
    });
});
