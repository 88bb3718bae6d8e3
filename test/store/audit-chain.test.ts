import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";
import type { Database as Sqlite } from "better-sqlite3";
import { SealedBox, UnsealError } from "../../src/core/crypto/sealed-box.ts";
import { lastAuditSeq, verifyAudit } from "../../src/features/records/audit/audit-log.ts";
import { GENESIS_HASH } from "../../src/store/commit/audit-chain.ts";
import { loadAuditKey } from "../../src/store/sealed-settings.ts";
import { column, openBeside, openTestStore, TEST_KEY, type TestStore, temporaryDatabase } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { auditRow, TestSource } from "./support/write-sets.ts";

interface Row {
  readonly seq: number;
  readonly action: string;
  readonly prevHash: string;
  readonly hash: string;
}

const rows = (store: TestStore): Row[] => store.reader.prepare<[], Row>("select * from audit_log order by seq").all();

const verify = async (store: TestStore) =>
  verifyAudit(store.database.read, store.auditKey, await lastAuditSeq(store.database.read));

async function record(store: TestStore, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const row = auditRow(`rule.update`, {
      userId: "user-1",
      resourceType: "rule",
      resourceId: `r${i}`,
      ip: "192.0.2.1",
      requestId: `q${i}`,
    });
    await store.database.write(async (trx) => store.database.audit(trx, row));
  }
}

/** Changes rows like an attacker with the file. */
function tamper(connection: Sqlite, sql: string): void {
  connection.exec("drop trigger audit_log_no_update; drop trigger audit_log_no_delete; drop trigger audit_log_append;");
  connection.exec(sql);
}

testBothWriters(
  "rows of sets and of transactions stand in one chain, in the order of their commits",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const source = new TestSource(store.committer);
    const work: Promise<unknown>[] = [];
    for (let i = 0; i < 10; i++) {
      work.push(source.write(() => ({ audit: [auditRow(`set.${i}`), auditRow(`set.${i}`)] })));
      work.push(store.database.write(async (trx) => store.database.audit(trx, auditRow(`transaction.${i}`))));
    }
    await Promise.all(work);
    assert.equal(rows(store).length, 30);
    assert.deepEqual(await verify(store), { ok: true, checked: 30 });
  },
);

test("the hash of a row is an HMAC-SHA-256 over the hash before it and the canonical JSON of the row", async (t) => {
  const store = openTestStore(t);
  await record(store, 2);
  let prevHash = "0".repeat(64);
  assert.equal(GENESIS_HASH, prevHash);
  for (const row of store.reader.prepare<[], Record<string, string>>("select * from audit_log order by seq").all()) {
    const columns = "seq id action userId actor resourceType resourceId metadata ip requestId timestamp".split(" ");
    const canonical = JSON.stringify(columns.map((name) => row[name]));
    assert.equal(row["prevHash"], prevHash);
    assert.equal(
      row["hash"],
      createHmac("sha256", store.auditKey)
        .update(prevHash + canonical)
        .digest("hex"),
    );
    prevHash = String(row["hash"]);
  }
});

testBothWriters("audit rows are written last, in the transaction of the change, or not at all", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const change = (isFailing: boolean) =>
    store.database.write(async (trx) => {
      store.database.audit(trx, auditRow("first"));
      await trx
        .insertInto("settings")
        .values({ key: `k${isFailing}`, value: 1, updatedAt: 0 })
        .execute();
      store.database.audit(trx, auditRow("second"));
      const seen = await trx.selectFrom("audit_log").select("seq").execute();
      assert.deepEqual(seen, [], "not before the end");
      if (isFailing) throw new Error("rolled back");
    });
  await assert.rejects(change(true));
  await change(false);
  assert.deepEqual(
    rows(store).map(({ seq, action }) => [seq, action]),
    [
      [1, "first"],
      [2, "second"],
    ],
  );
});

const CHANGES: Readonly<Record<string, string>> = {
  seq: "update audit_log set seq = 99 where seq = 3",
  id: "update audit_log set id = 'other' where seq = 3",
  action: "update audit_log set action = 'rule.create' where seq = 3",
  userId: "update audit_log set userId = null where seq = 3",
  actor: "update audit_log set actor = '{}' where seq = 3",
  resourceType: "update audit_log set resourceType = 'user' where seq = 3",
  resourceId: "update audit_log set resourceId = null where seq = 3",
  metadata: `update audit_log set metadata = '{"a":1}' where seq = 3`,
  ip: "update audit_log set ip = '192.0.2.2' where seq = 3",
  requestId: "update audit_log set requestId = 'other' where seq = 3",
  timestamp: "update audit_log set timestamp = timestamp + 1 where seq = 3",
  prevHash: "update audit_log set prevHash = hash where seq = 3",
  hash: "update audit_log set hash = prevHash where seq = 3",
};

test("a changed column is found and its row named", async (t) => {
  for (const [name, sql] of Object.entries(CHANGES)) {
    await t.test(name, async (t) => {
      const store = openTestStore(t);
      await record(store, 5);
      tamper(openBeside(t, store.file), sql);
      const verdict = await verify(store);
      const named = name === "seq" ? 4 : 3;
      assert.deepEqual([verdict.ok, verdict.checked, verdict.firstBad?.seq], [false, 2, named]);
    });
  }
});

test("a removed, a moved and a forged row are found", async (t) => {
  for (const { name, sql, firstBad } of [
    { name: "a row in the middle is gone", sql: "delete from audit_log where seq = 3", firstBad: 4 },
    { name: "the first row is gone", sql: "delete from audit_log where seq = 1", firstBad: 2 },
    {
      name: "two rows have changed places",
      sql: `update audit_log set seq = 99 where seq = 2; update audit_log set seq = 2 where seq = 3;
            update audit_log set seq = 3 where seq = 99`,
      firstBad: 2,
    },
    {
      name: "a row is appended by hand",
      sql: `insert into audit_log select 6, 'forged', action, userId, actor, resourceType, resourceId, metadata, ip, requestId, timestamp,
            hash, hash from audit_log where seq = 5`,
      firstBad: 6,
    },
  ]) {
    await t.test(name, async (t) => {
      const store = openTestStore(t);
      await record(store, 5);
      tamper(openBeside(t, store.file), sql);
      assert.equal((await verify(store)).firstBad?.seq, firstBad);
    });
  }
});

test("a log whose last rows are gone is truncated", async (t) => {
  for (const { name, sql, checked } of [
    { name: "the last row", sql: "delete from audit_log where seq = 5", checked: 4 },
    { name: "all rows", sql: "delete from audit_log", checked: 0 },
  ]) {
    await t.test(name, async (t) => {
      const store = openTestStore(t);
      await record(store, 5);
      tamper(openBeside(t, store.file), sql);
      assert.deepEqual(await verify(store), { ok: false, checked, truncated: true });
    });
  }
});

test("a row that was cut off is not followed by one in its place", async (t) => {
  const store = openTestStore(t);
  await record(store, 3);
  const beside = openBeside(t, store.file);
  tamper(beside, "delete from audit_log where seq = 3");
  await record(store, 1);
  assert.deepEqual(column(beside, "select seq from audit_log"), [1, 2, 4]);
  assert.equal((await verify(store)).firstBad?.seq, 4);
});

test("the triggers refuse updates, deletes and rows out of order", async (t) => {
  const store = openTestStore(t);
  await record(store, 3);
  const beside = openBeside(t, store.file);
  const copyOf = (seq: string): string =>
    `insert into audit_log select ${seq}, 'new', action, userId, actor, resourceType, resourceId, metadata, ip, requestId, timestamp, prevHash,
     hash from audit_log where seq = 3`;
  for (const [name, sql] of [
    ["update", "update audit_log set action = 'x' where seq = 1"],
    ["delete", "delete from audit_log where seq = 1"],
    ["delete of everything", "delete from audit_log"],
    ["a number that was given", copyOf("2")],
    ["no number", copyOf("null")],
    ["a replacement", copyOf("2").replace("insert", "insert or replace")],
    ["an upsert", `${copyOf("2")} and true on conflict (seq) do update set action = 'x'`],
  ] as const) {
    await t.test(name, () => {
      beside.pragma("recursive_triggers = ON");
      assert.throws(() => beside.exec(sql), { message: "audit_log is append-only" });
    });
  }
  assert.deepEqual(await verify(store), { ok: true, checked: 3 });
});

test("retention alone may delete: with the gate open, inside its transaction", async (t) => {
  const store = openTestStore(t);
  await record(store, 3);
  await store.database.write(async (trx) => {
    await trx.insertInto("settings").values({ key: "audit.gate", value: 1, updatedAt: 0 }).execute();
    await trx.deleteFrom("audit_log").where("seq", "=", 1).execute();
    await trx.deleteFrom("settings").where("key", "=", "audit.gate").execute();
  });
  assert.deepEqual(column(store.reader, "select seq from audit_log"), [2, 3]);
  assert.throws(() => openBeside(t, store.file).exec("delete from audit_log"), { message: "audit_log is append-only" });
});

test("the audit key is made once, is kept sealed, and opens only with the encryption key it was sealed under", (t) => {
  const connection = openBeside(t, temporaryDatabase(t));
  const made = loadAuditKey(connection, new SealedBox([TEST_KEY]));
  assert.equal(made.length, 32);
  assert.deepEqual(loadAuditKey(connection, new SealedBox([TEST_KEY])), made);
  const [stored] = column<Buffer>(connection, "select value from settings where key = 'audit.key'");
  assert.ok(stored && !stored.includes(Buffer.from(made)));
  assert.throws(() => loadAuditKey(connection, new SealedBox([new Uint8Array(32).fill(8)])), UnsealError);
});
