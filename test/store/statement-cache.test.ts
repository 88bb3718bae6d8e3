import assert from "node:assert/strict";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { StatementCache } from "../../src/store/sqlite/connection.ts";

test("a statement is prepared once, and the cache holds 500 of them", (t) => {
  const connection = new SqliteDatabase(":memory:");
  t.after(() => connection.close());
  const prepare = t.mock.method(connection, "prepare");
  const cache = new StatementCache(connection);
  const run = (i: number): unknown => cache.run(`select ${i} as i`, []).rows[0];
  for (let i = 0; i < 500; i++) assert.deepEqual(run(i), { i });
  for (let i = 0; i < 500; i++) run(i);
  assert.equal(prepare.mock.callCount(), 500);
  run(500);
  assert.equal(prepare.mock.callCount(), 501);
  run(1);
  assert.equal(prepare.mock.callCount(), 501, "all but the one prepared longest ago are still there");
  run(0);
  assert.equal(prepare.mock.callCount(), 502);
});

test("rows come from statements that give some, and the number of changes from those that do not", (t) => {
  const connection = new SqliteDatabase(":memory:");
  t.after(() => connection.close());
  connection.exec("create table t (a integer) strict");
  const cache = new StatementCache(connection);
  assert.deepEqual(cache.run("insert into t values (?), (?)", [1, 2]), { rows: [], changes: 2 });
  assert.deepEqual(cache.run("update t set a = a + 1 returning a", []).rows, [{ a: 2 }, { a: 3 }]);
  assert.deepEqual(cache.run("select a from t where a > ?", [2]).rows, [{ a: 3 }]);
});
