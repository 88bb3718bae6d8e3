// Prints the types of the tables that the migrations create, for src/store/schema/: npm run
// db:types [-- <table>...]. A test compares those files with the migrations. Unions of words and
// booleans must be added by hand: the database has only text and numbers.
import "./node-version.mjs";
import SqliteDatabase from "better-sqlite3";
import { migrateUp } from "../src/store/sqlite/migrate.ts";

const TYPES = {
  TEXT: "string",
  INTEGER: "number",
  REAL: "number",
  BLOB: "Uint8Array",
  ANY: "string | number | Uint8Array",
};
const wanted = process.argv.slice(2);
const connection = new SqliteDatabase(":memory:");
migrateUp(connection);
const tables = connection
  .prepare(
    "select name from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite_%' order by name",
  )
  .pluck()
  .all();
const unknown = wanted.filter((table) => !tables.includes(table));
if (unknown.length > 0) {
  console.error(`no migration makes ${unknown.join(", ")}`);
  process.exit(2);
}
for (const table of tables.filter((name) => wanted.length === 0 || wanted.includes(name))) {
  console.log(`  ${table}: {`);
  for (const { name, type, notnull, pk, dflt_value } of connection
    .prepare("select * from pragma_table_info(?)")
    .all(table)) {
    const nullable = notnull || pk ? "" : " | null";
    const value = `${TYPES[type.toUpperCase()] ?? "unknown"}${nullable}`;
    console.log(`    ${name}: ${dflt_value === null ? value : `Generated<${value}>`};`);
  }
  console.log("  };");
}
