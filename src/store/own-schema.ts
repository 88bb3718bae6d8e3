import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { type Migration, migrateUp, migrationStatus, SchemaRefused } from "./migrate.ts";
import { MIGRATIONS } from "./migrations.gen.ts";

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly tbl_name: string;
  readonly sql: string | null;
}

/**
 * That a database from outside has the schema that this program's migrations make, up to some point of theirs, and nothing else: a table that is a
 * view, or a trigger that somebody has put in, would act with the rights of whoever uses the database. Modules may have plain tables of their own.
 * @returns the names of the migrations it has, in their order. @throws SchemaRefused
 */
export function requireOwnSchema(connection: Sqlite, migrations: readonly Migration[] = MIGRATIONS): readonly string[] {
  const { applied } = migrationStatus(connection, migrations);
  const names = applied.map(({ name }) => name);
  const prefix = migrations.slice(0, names.length);
  if (names.length === 0)
    throw new SchemaRefused("the database is not one of Prism: no migration was ever applied to it");
  if (prefix.some(({ name }, at) => name !== names[at]))
    throw new SchemaRefused(`the database lacks a migration from before ${names.at(-1)}`);
  const wanted = schemaOf(prefix);
  const found = rowsOf(connection);
  for (const [key, sql] of found) {
    if (!wanted.has(key)) throw new SchemaRefused(`the database has the ${key}, which no migration makes`);
    if (wanted.get(key) !== sql) throw new SchemaRefused(`the database's ${key} is not what the migrations make`);
  }
  for (const key of wanted.keys()) if (!found.has(key)) throw new SchemaRefused(`the database lacks the ${key}`);
  return names;
}

function schemaOf(migrations: readonly Migration[]): ReadonlyMap<string, string | null> {
  const connection = new SqliteDatabase(":memory:");
  try {
    migrateUp(connection, migrations);
    return rowsOf(connection);
  } finally {
    connection.close();
  }
}

/** A table that a module has made, or an index on it: `module_<name>_…`, and no virtual table, whose code would be somebody's. */
function isModules({ type, tbl_name, sql }: SchemaRow): boolean {
  if (!/^module_[a-z0-9]+_[a-z0-9_]+$/.test(tbl_name)) return false;
  return type === "index" || (type === "table" && /^create table /i.test(sql ?? ""));
}

/** Every object but the statistics that SQLite keeps for itself, as `type name` with its text; an index names its table too. */
function rowsOf(connection: Sqlite): ReadonlyMap<string, string | null> {
  const rows = connection.prepare<[], SchemaRow>("select type, name, tbl_name, sql from sqlite_schema").all();
  return new Map(
    rows
      .filter(({ type, name }) => !(type === "table" && /^sqlite_stat[1-4]$/.test(name)))
      .filter((row) => !isModules(row))
      .map(({ type, name, tbl_name, sql }) => [`${type} ${name}${tbl_name === name ? "" : ` on ${tbl_name}`}`, sql]),
  );
}
