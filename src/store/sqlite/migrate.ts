import type { Database as Sqlite } from "better-sqlite3";
import { sha256Hex } from "../../core/tokens.ts";
import { MIGRATIONS } from "./migrations.gen.ts";

export interface Migration {
  /** `NNNN_name`; the numbers are the order. */
  readonly name: string;
  readonly sql: string;
}

export interface MigrationStatus {
  readonly applied: readonly { readonly name: string; readonly appliedAt: number }[];
  readonly pending: readonly string[];
}

/** The database cannot be brought to this program's schema: it is newer, or a released migration has changed. */
export class SchemaRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SchemaRefused";
  }
}

/**
 * Which migrations a database has.
 * @throws SchemaRefused when it holds one that this program does not know, one whose text has changed since it was applied, or traces of
 * one that it has no record of.
 */
export function migrationStatus(connection: Sqlite, migrations: readonly Migration[] = MIGRATIONS): MigrationStatus {
  // One snapshot: a migration that another process commits between two reads would look like one without a record.
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

/** @throws SchemaRefused when something that a migration makes is there although it was never recorded */
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
  throw new SchemaRefused(
    `the database has the ${trace} of the migration ${name}, but no record that it was applied: rows of its table migrations are gone; go back to a backup with prism restore`,
  );
}

/**
 * Applies what is pending, forward only, each migration in one transaction. The caller holds the data directory's lock.
 * @returns the names applied now. @throws SchemaRefused, and what SQLite throws.
 */
export function migrateUp(connection: Sqlite, migrations: readonly Migration[] = MIGRATIONS): readonly string[] {
  const { pending } = migrationStatus(connection, migrations);
  if (pending.length === 0) return [];
  connection.exec(
    "create table if not exists migrations (name text primary key, checksum text not null, appliedAt integer not null) strict, without rowid",
  );
  const record = connection.prepare("insert into migrations (name, checksum, appliedAt) values (?, ?, ?)");
  for (const { name, sql } of migrations.filter((migration) => pending.includes(migration.name))) {
    connection
      .transaction(() => {
        connection.exec(sql);
        record.run(name, sha256Hex(sql), Date.now());
      })
      .immediate();
  }
  return pending;
}
