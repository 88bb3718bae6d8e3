import { existsSync } from "node:fs";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { sha256Hex } from "../../core/tokens.ts";
import { closing, openForWriting, reading } from "./connection.ts";
import { MIGRATIONS } from "./migrations.gen.ts";

export interface Migration {
  /** `NNNN_name`; the numbers give the order. */
  readonly name: string;
  readonly sql: string;
}

interface MigrationStatus {
  readonly applied: readonly { readonly name: string; readonly appliedAt: number }[];
  readonly pending: readonly string[];
}

/** The database cannot be migrated: it is newer, or a released migration has changed. */
export class SchemaRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SchemaRefused";
  }
}

/**
 * The migrations of a database.
 * @throws SchemaRefused when it holds an unknown one, one whose text has changed since, or traces
 * of one without a record.
 */
export function migrationStatus(connection: Sqlite, migrations: readonly Migration[] = MIGRATIONS): MigrationStatus {
  // One snapshot: a migration committed between two reads would look like one without a record.
  return connection.transaction(() => readStatus(connection, migrations)).deferred();
}

function readStatus(connection: Sqlite, migrations: readonly Migration[]): MigrationStatus {
  const hasTable = connection.prepare("select 1 from sqlite_schema where type = 'table' and name = 'migrations'").get();
  const applied = hasTable
    ? connection
        .prepare<[], { name: string; checksum: string; appliedAt: number }>(
          "select name, checksum, appliedAt from migrations order by name",
        )
        .all()
    : [];
  for (const { name, checksum } of applied) {
    const known = migrations.find((migration) => migration.name === name);
    if (!known) {
      throw new SchemaRefused(
        `the database is newer than this program: it has ${name}; install the version that made it`,
      );
    }
    if (sha256Hex(known.sql) !== checksum) {
      throw new SchemaRefused(
        `${name} was applied with another text than this program carries; install the version that made the database`,
      );
    }
  }
  const names = new Set(applied.map(({ name }) => name));
  const pending = migrations.filter(({ name }) => !names.has(name));
  for (const migration of pending) requireNoTrace(connection, migration);
  return {
    applied: applied.map(({ name, appliedAt }) => ({ name, appliedAt })),
    pending: pending.map(({ name }) => name),
  };
}

/** @throws SchemaRefused when an object of the migration exists although it was never recorded */
function requireNoTrace(connection: Sqlite, { name, sql }: Migration): void {
  const hasObject = connection.prepare("select 1 from sqlite_schema where name = ?");
  const hasColumn = connection.prepare("select 1 from pragma_table_info(?) where name = ?");
  const dropped = new Set(
    [...sql.matchAll(/drop (?:table|index|trigger|view) (?:if exists )?(\w+)/gi)].map(([, made]) => made),
  );
  const made = [...sql.matchAll(/create (?:unique )?(table|index|trigger|view) (?:if not exists )?(\w+)/gi)]
    .filter(([, , object]) => !dropped.has(object) && hasObject.get(object))
    .map(([, kind, object]) => `${kind} ${object}`);
  const added = [...sql.matchAll(/alter table (\w+) add column (\w+)/gi)]
    .filter(([, table, column]) => hasColumn.get(table, column))
    .map(([, table, column]) => `column ${table}.${column}`);
  const [trace] = [...made, ...added];
  if (trace === undefined) return;
  const problem = `the database has the ${trace} of the migration ${name}, but no record that it was applied`;
  throw new SchemaRefused(`${problem}: rows of its table migrations are missing; restore a backup with prism restore`);
}

/**
 * Applies pending migrations, forward only, each in one transaction. The caller holds the data
 * directory's lock.
 * @returns the applied names. @throws SchemaRefused, and errors of SQLite.
 */
export function migrateUp(
  connection: Sqlite,
  migrations: readonly Migration[] = MIGRATIONS,
  onStart: (name: string) => void = () => undefined,
): readonly string[] {
  const { pending } = migrationStatus(connection, migrations);
  if (pending.length === 0) return [];
  connection.exec(
    "create table if not exists migrations (name text primary key, checksum text not null, " +
      "appliedAt integer not null) strict, without rowid",
  );
  const record = connection.prepare("insert into migrations (name, checksum, appliedAt) values (?, ?, ?)");
  for (const { name, sql } of migrations.filter((migration) => pending.includes(migration.name))) {
    onStart(name);
    connection
      .transaction(() => {
        connection.exec(sql);
        record.run(name, sha256Hex(sql), Date.now());
      })
      .immediate();
  }
  return pending;
}

/**
 * Opens or creates the database file and migrates it. @param onStart is called before each
 * migration. @returns the applied migrations. @throws SchemaRefused
 */
export function migrateFile(file: string, onStart?: (name: string) => void): readonly string[] {
  return closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection) => {
    const applied = migrateUp(connection, MIGRATIONS, onStart);
    // The content of a new database is known.
    if (applied.length === MIGRATIONS.length) noteOwnSchema(connection);
    return applied;
  });
}

/** The state of a database file, read only; a missing file lacks all. @throws SchemaRefused */
export function migrationStatusOf(file: string): MigrationStatus {
  if (!existsSync(file)) return { applied: [], pending: MIGRATIONS.map(({ name }) => name) };
  return reading(file, (connection) => migrationStatus(connection));
}

export function pendingMigrations(file: string): readonly string[] {
  return migrationStatusOf(file).pending;
}

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly tbl_name: string;
  readonly sql: string | null;
}

/**
 * Checks that a database from outside has exactly the schema of this program's migrations, up to
 * some point. A view in place of a table, or a foreign trigger, would act with the rights of the
 * database's users. Modules may have plain tables.
 * @returns the names of its migrations, in order. @throws SchemaRefused
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

/**
 * The last `schema_version` (https://www.sqlite.org/pragma.html#pragma_schema_version) that was
 * found free of foreign objects.
 */
const CHECKED_SETTING = "schema.checked";

/** What a module may create; part of messages. */
const ALLOWED_FORM = "modules may make tables named module_<name>_… and indexes on them, and nothing else";

/** Counts the schema changes of a database. */
export function schemaVersion(connection: Sqlite): number {
  return Number(connection.pragma("schema_version", { simple: true }));
}

/** Records the current schema as this program's own: {@link foreignSchema} skips comparing it. */
function noteOwnSchema(connection: Sqlite): void {
  connection
    .prepare(
      `insert into settings (key, value, updatedAt) values (?, ?, ?)
       on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`,
    )
    .run(CHECKED_SETTING, schemaVersion(connection), Date.now());
}

/**
 * Objects in the schema of a current database that a restore would refuse; null for none. Compares
 * only after a schema change, because it takes 10 ms.
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

/** @throws SchemaRefused if more than a module's objects differs between the two schemas */
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

/**
 * A table of a module or an index on it: `module_<name>_…` in any letter case. Virtual tables are
 * excluded: they run code.
 */
function isModules({ type, tbl_name, sql }: SchemaRow): boolean {
  if (!/^module_[a-z0-9]+_[a-z0-9_]+$/i.test(tbl_name)) return false;
  return type === "index" || (type === "table" && /^create table /i.test(sql ?? ""));
}

/** Every object but SQLite's statistics: `type name` (an index with its table) and its text. */
function rowsOf(connection: Sqlite): ReadonlyMap<string, string | null> {
  const rows = connection.prepare<[], SchemaRow>("select type, name, tbl_name, sql from sqlite_schema").all();
  return new Map(
    rows
      .filter(({ type, name }) => !(type === "table" && /^sqlite_stat[1-4]$/.test(name)))
      .filter((row) => !isModules(row))
      .map(({ type, name, tbl_name, sql }) => [`${type} ${name}${tbl_name === name ? "" : ` on ${tbl_name}`}`, sql]),
  );
}
