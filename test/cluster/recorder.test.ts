import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import type { Database as Sqlite } from "better-sqlite3";
import fc from "fast-check";
import { StatementRunner } from "../../src/cluster/follow/applier.ts";
import { encodeRecord, newRecordId, RecordReader, recordBox, statementsOf } from "../../src/cluster/log/record.ts";
import { Recorder } from "../../src/cluster/log/recorder.ts";
import { differing, digestOf } from "../../src/cluster/tools/digest.ts";
import { openForWriting } from "../../src/store/sqlite/connection.ts";
import { temporaryDir } from "../helpers/store.ts";

const TABLES = `create table a (id integer primary key, n integer, text text) strict;
  create table b (k text primary key, v any) strict, without rowid;
  create table local_state (key text primary key, value any) strict, without rowid;
  create table seen (id integer primary key autoincrement, of integer);
  create trigger a_seen after insert on a begin insert into seen (of) values (new.id); end;`;

type Step = readonly [string, ...unknown[]];

const number = fc.integer({ min: 0, max: 9 });
const value = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double({ noNaN: true }),
  fc.uint8Array({ maxLength: 4 }),
  fc.constant(null),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant("insert into a (id, n, text) values (?, ?, ?)"), number, number, fc.string()),
  fc.tuple(fc.constant("insert or ignore into a (id, n) values (?, ?)"), number, number),
  fc.tuple(fc.constant("insert into a (n) values (?) returning id"), number),
  fc.tuple(fc.constant("update a set n = n + 1 where id > ?"), number),
  fc.tuple(fc.constant("update a set text = ? where n = ? returning id, text"), fc.string(), number),
  fc.tuple(fc.constant("delete from a where id = ?"), number),
  fc.tuple(
    fc.constant(
      "insert into b (k, v) values (?, ?) on conflict (k) do update set v = excluded.v where v is not excluded.v",
    ),
    fc.constantFrom("x", "y"),
    value,
  ),
  fc.tuple(
    fc.constant("with old as (select id from a where n < ?) delete from a where id in (select id from old)"),
    number,
  ),
  fc.tuple(
    fc.constant("insert into local_state (key, value) values ('k', ?) on conflict (key) do update set value = 1"),
    number,
  ),
  fc.constantFrom<Step>(["savepoint part"], ["release part"], ["rollback to part"], ["select count(*) from a"]),
);

/** Runs a step as features do; one that SQLite refuses changes nothing. */
function run(connection: Sqlite, [text, ...parameters]: Step): void {
  try {
    const statement = connection.prepare(text);
    if (statement.reader) statement.all(...parameters);
    else statement.run(...parameters);
  } catch (error) {
    assert.match(String(error), /UNIQUE|no such savepoint/);
  }
}

test("a file to which the recorded statements of random transactions are applied is equal to the original", async (t) => {
  const dir = temporaryDir(t);
  const open = (name: string) => {
    const connection = openForWriting({ file: join(dir, name), busyTimeoutMs: 0 });
    connection.exec(TABLES);
    connection.pragma("synchronous = OFF");
    t.after(() => connection.close());
    return connection;
  };
  const [original, copy] = [open("a.db"), open("b.db")];
  const recorder = new Recorder(original);
  const box = recordBox(["secret"]);
  const reader = new RecordReader(box);
  const runner = new StatementRunner(copy);
  let recorded = 0;
  const property = fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.boolean(), async (steps, isKept) => {
    original.prepare("begin immediate").run();
    for (const each of steps) run(original, each);
    const statements = statementsOf(recorder.changes);
    original.prepare(isKept ? "commit" : "rollback").run();
    assert.equal(recorder.changes.length, 0);
    if (!isKept || statements.calls.length === 0) return;
    recorded++;
    const record = {
      ...{ id: newRecordId(), previous: "", term: 1, node: "a", at: 0 },
      content: { kind: "statements", statements } as const,
    };
    const [message, ...more] = encodeRecord(record, box);
    assert.ok(message && more.length === 0);
    const read = reader.read(message);
    assert.deepEqual(read, record);
    copy.prepare("begin immediate").run();
    runner.run(statements);
    copy.prepare("commit").run();
  });
  await fc.assert(property, { numRuns: 2000 });
  assert.ok(recorded > 100, String(recorded));
  const digests = [await digestOf(original), await digestOf(copy)] as const;
  assert.deepEqual(differing(...digests), []);
  assert.deepEqual(
    digests[0].map(({ table }) => table),
    ["a", "b", "seen", "sqlite_sequence"],
    "without what describes one file",
  );
});

test("an array of parameters that is filled again for the next statement is noted as it was", (t) => {
  const connection = openForWriting({ file: join(temporaryDir(t), "a.db"), busyTimeoutMs: 0 });
  t.after(() => connection.close());
  connection.exec("create table t (v any) strict");
  const recorder = new Recorder(connection);
  const insert = connection.prepare("insert into t (v) values (?)");
  connection.prepare("begin immediate").run();
  const values = ["first"];
  insert.run(values);
  values[0] = "second";
  insert.run(values);
  const noted = recorder.changes.map(({ parameters }) => parameters);
  assert.deepEqual(noted, [[["first"]], [["second"]]]);
});

test("a statement that changes another number of rows than at the leader is refused", (t) => {
  const connection = openForWriting({ file: join(temporaryDir(t), "a.db"), busyTimeoutMs: 0 });
  t.after(() => connection.close());
  connection.exec(TABLES);
  const statements = { texts: ["update a set n = 1"], calls: [[0, 1, []]] } as const;
  assert.throws(() => new StatementRunner(connection).run(statements), /changed 0 rows, and 1 at the leader/);
});

test("digests tell apart values of different types, and name the tables that differ", async (t) => {
  const digests = await Promise.all(
    ["1", "1.0", "'1'", "x'31'", "null", "''"].map(async (value, i) => {
      const connection = openForWriting({ file: join(temporaryDir(t), `${i}.db`), busyTimeoutMs: 0 });
      t.after(() => connection.close());
      connection.exec(`create table t (v any) strict; insert into t values (${value}); create table u (v)`);
      return digestOf(connection);
    }),
  );
  const [first, ...others] = digests;
  for (const other of others) assert.deepEqual(differing(first ?? [], other), ["t"]);
  assert.equal(new Set(digests.map(([table]) => table?.digest)).size, 6);
});
