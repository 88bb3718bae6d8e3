import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { refuseChangingFunctions } from "../../src/cluster/log/recorder.ts";
import { openForWriting } from "../../src/store/sqlite/connection.ts";
import { temporaryDir } from "../helpers/store.ts";

const EXPRESSIONS = [
  ...["random()", "hex(randomblob(4))", "last_insert_rowid()", "changes()", "total_changes()"],
  ...["date()", "time('now')", "datetime('now')", "julianday()", "unixepoch()", "strftime('%s', 'now')"],
  ...["timediff('now', '2020-01-01')", "current_date", "current_time", "current_timestamp"],
];

test("statements that each node would compute otherwise are refused by the writing connection", (t) => {
  const connection = openForWriting({ file: join(temporaryDir(t), "a.db"), busyTimeoutMs: 0 });
  t.after(() => connection.close());
  connection.exec(`create table t (n, made text default current_timestamp, later integer default (unixepoch()))`);
  refuseChangingFunctions(connection);
  for (const expression of EXPRESSIONS)
    assert.throws(
      () => connection.prepare(`insert into t (n, made, later) values (${expression}, '', 0)`).run(),
      /is refused in a cluster/,
      expression,
    );
  // In defaults of columns SQLite itself refuses functions of the connection.
  for (const columns of ["n, later", "n, made"])
    assert.throws(() => connection.prepare(`insert into t (${columns}) values (1, 0)`).run(), /unsafe use of \w+\(\)/);
  connection.prepare("insert into t (n, made, later) values (?, '', 0)").run(1);
  assert.deepEqual(connection.prepare("select count(*), sum(abs(n)), upper(made) from t").raw().all(), [[1, 1, ""]]);
});
