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

/** The `schema_version` (https://www.sqlite.org/pragma.html#pragma_schema_version) that was found to hold nothing foreign. */
const CHECKED_SETTING = "schema.checked";

/** What a module may make; part of messages. */
const ALLOWED_FORM = "modules may make tables named module_<name>_… and indexes on them, and nothing else";

/** Counts the changes of a database's schema. */
export function schemaVersion(connection: Sqlite): number {
  return Number(connection.pragma("schema_version", { simple: true }));
}

/** Says that the schema is this program's own as it is now, so that {@link foreignSchema} need not compare it. */
export function noteOwnSchema(connection: Sqlite): void {
  connection
    .prepare(
      `insert into settings (key, value, updatedAt) values (?, ?, ?)
       on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`,
    )
    .run(CHECKED_SETTING, schemaVersion(connection), Date.now());
}

/**
 * What a restore would refuse in the schema of a database that is up to date; null when nothing. Compares only when the schema has changed
 * since it was last found in order, for that takes 10 ms.
 */
export function foreignSchema(connection: Sqlite): string | null {
  const checked = connection.prepare<[string], number>("select value from settings where key = ?").pluck();
  if (checked.get(CHECKED_SETTING) === schemaVersion(connection)) return null;
  try {
    requireOwnSchema(connection);
    noteOwnSchema(connection);
    return null;
  } catch (error) {
    if (error instanceof SchemaRefused) return error.message;
    throw error;
  }
}

/** @throws SchemaRefused when the schema has changed between the two views of a database in something that is no module's. */
export function requireModuleChanges(before: Sqlite, after: Sqlite): void {
  const [old, now] = [rowsOf(before), rowsOf(after)];
  const changed = [...now].find(([key, sql]) => old.get(key) !== sql || !old.has(key))?.[0];
  const what = changed ?? [...old.keys()].find((key) => !now.has(key));
  if (what === undefined) return;
  throw new SchemaRefused(
    `the transaction was rolled back because it changes the ${what}: ${ALLOWED_FORM}, or no backup could be restored`,
  );
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

/** A table that a module has made, or an index on it: `module_<name>_…` in any letter case. A virtual table is none: it runs code. */
function isModules({ type, tbl_name, sql }: SchemaRow): boolean {
  if (!/^module_[a-z0-9]+_[a-z0-9_]+$/i.test(tbl_name)) return false;
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
