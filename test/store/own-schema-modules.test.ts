import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { migrateFile, requireOwnSchema } from "../../src/store/sqlite/migrate.ts";
import { temporaryDir } from "../helpers/store.ts";

test("S3-39: plain tables of modules are no stranger's; whatever runs code of its own is", (t) => {
  const file = join(temporaryDir(t), "prism.db");
  migrateFile(file);
  const connection = new SqliteDatabase(file);
  t.after(() => connection.close());
  connection.exec(`create table module_shop_visits (n integer primary key, at integer not null);
    create index module_shop_visits_at on module_shop_visits (at);
    create table module_shop_dailyTotals (day text); create unique index Module_Shop_Days on module_shop_dailyTotals (day)`);
  assert.ok(requireOwnSchema(connection).length > 0);
  for (const [name, sql, drop] of [
    [
      "a trigger",
      "create trigger module_shop_t after insert on module_shop_visits begin delete from users; end",
      "trigger module_shop_t",
    ],
    ["a view", "create view module_shop_v as select 1", "view module_shop_v"],
    ["a virtual table", "create virtual table module_shop_f using fts5(a)", "table module_shop_f"],
    ["a table of another name", "create table visits (n integer)", "table visits"],
    ["an index on a table of the program's", "create index module_shop_i on users (name)", "index module_shop_i"],
  ] as const) {
    connection.exec(sql);
    assert.throws(() => requireOwnSchema(connection), /no migration makes/, name);
    connection.exec(`drop ${drop}`);
  }
});
