import assert from "node:assert/strict";
import test from "node:test";
import { type RawBuilder, sql } from "kysely";
import { column, openBeside, openTestStore, WRITERS } from "../helpers/store.ts";

const TABLES = "select name from sqlite_schema where tbl_name like 'module!_%' escape '!' order by name";

for (const writer of WRITERS) {
  test(`a transaction may make tables and indexes of modules and no other change of the schema (writer: ${writer})`, async (t) => {
    const { database, file } = openTestStore(t, { writer });
    const run = (statement: RawBuilder<unknown>): Promise<unknown> => database.write((trx) => statement.execute(trx));
    const before = column<string>(openBeside(t, file), TABLES);

    await run(sql`create table module_shop_dailyTotals (day text primary key, total integer)`);
    await run(sql`create index module_shop_totals on module_shop_dailyTotals (total)`);
    await run(sql`alter table module_shop_dailyTotals add column note text`);
    for (const { statement, named } of [
      { statement: sql`create table my_own (a)`, named: /table my_own/ },
      { statement: sql`alter table tasks add column colour text`, named: /table tasks/ },
      { statement: sql`create index tasks_mine on tasks (title)`, named: /index tasks_mine on tasks/ },
      { statement: sql`create view module_shop_v as select 1`, named: /view module_shop_v/ },
      { statement: sql`create virtual table module_shop_f using fts5(a)`, named: /table module_shop_f/ },
      { statement: sql`drop trigger audit_log_no_update`, named: /trigger audit_log_no_update/ },
      {
        statement: sql`create trigger module_shop_t after insert on module_shop_dailyTotals begin select 1; end`,
        named: /trigger module_shop_t/,
      },
    ])
      await assert.rejects(
        run(statement),
        (error: Error) => named.test(error.message) && /rolled back/.test(error.message),
      );
    // A refused transaction spoils nothing for the next one.
    await run(sql`insert into module_shop_dailyTotals (day, total) values ('monday', 1)`);

    const beside = openBeside(t, file);
    assert.deepEqual(column(beside, "select total from module_shop_dailyTotals"), [1]);
    const made = column<string>(beside, TABLES).filter((name) => !before.includes(name));
    assert.deepEqual(
      made.filter((name) => !name.startsWith("sqlite_")),
      ["module_shop_dailyTotals", "module_shop_totals"],
    );
    assert.deepEqual(column(beside, "select name from sqlite_schema where name in ('my_own', 'tasks_mine')"), []);
    assert.deepEqual(column(beside, "select 1 from pragma_table_info('tasks') where name = 'colour'"), []);
    assert.deepEqual(column(beside, "select 1 from sqlite_schema where name = 'audit_log_no_update'"), [1]);
  });
}
