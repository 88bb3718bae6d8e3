import { closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import Database from "better-sqlite3";
import { Kysely, SqliteDialect, sql } from "kysely";
import { unreadable } from "./http-source.ts";

/* SQLite files of other programs. They are copied before they are opened: the program may be writing them. */

const MAX_BYTES = 2 * 2 ** 30;

export type SourceRow = Readonly<Record<string, string | number | null>>;

export interface DatabaseFile {
  /** All rows of a table, by `rowid`, blobs as text, without generated columns; empty: there is no such table. */
  rows(table: string): Promise<readonly SourceRow[]>;
  /** Different values of a column, sorted; empty: there is no such table. */
  values(table: string, column: string): Promise<readonly SourceRow[string][]>;
  has(table: string): boolean;
}

/**
 * Calls `use` with a copy of the database.
 * @throws CommandError 7 for a file that is no database, or too large
 */
export async function withDatabaseFile<T>(file: string, use: (database: DatabaseFile) => Promise<T>): Promise<T> {
  const size = requireDatabase(file);
  const wal = `${file}-wal`;
  if (size + (existsSync(wal) ? statSync(wal).size : 0) > MAX_BYTES) throw unreadable(`${file} is larger than 2 GiB`);
  const folder = mkdtempSync(join(tmpdir(), "prism-import-"));
  try {
    const copy = join(folder, basename(file));
    copyFileSync(file, copy);
    if (existsSync(wal)) copyFileSync(wal, `${copy}-wal`);
    return await read(copy, file, use);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function requireDatabase(file: string): number {
  if (!isDatabaseFile(file)) throw unreadable(`${file} is no SQLite database`);
  return statSync(file).size;
}

/** Whether it begins as a database of SQLite does. @throws CommandError 7 for one that cannot be opened */
export function isDatabaseFile(file: string): boolean {
  try {
    // A pipe would be waited for.
    if (!statSync(file).isFile()) throw unreadable(`${file} is no file`);
    const head = Buffer.alloc(15);
    const handle = openSync(file, "r");
    try {
      readSync(handle, head, 0, 15, 0);
    } finally {
      closeSync(handle);
    }
    return head.toString("latin1") === "SQLite format 3";
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    throw unreadable(`${file} cannot be opened (${String(error.code)})`);
  }
}

type StoredValue = string | number | Buffer | null;
type Stored = Readonly<Record<string, StoredValue>>;

function textOf(value: StoredValue): SourceRow[string] {
  return Buffer.isBuffer(value) ? value.toString("utf8") : value;
}

async function read<T>(copy: string, file: string, use: (database: DatabaseFile) => Promise<T>): Promise<T> {
  const database = new Database(copy);
  const db = new Kysely<Record<string, Stored>>({ dialect: new SqliteDialect({ database }) });
  try {
    // Views, triggers, virtual tables and generated columns of a stranger's file run nothing.
    database.pragma("trusted_schema = off");
    database.pragma("query_only = on");
    // What SQLite made of the schema, whose rows may say something else.
    const found = await sql<{
      name: string;
    }>`select name from pragma_table_list where schema = 'main' and type = 'table'`.execute(db);
    const tables = new Set(found.rows.map(({ name }) => name));
    const columnsOf = async (table: string) => {
      const info = sql<{ name: string }>`select name from pragma_table_xinfo(${table}) where hidden = 0`;
      return tables.has(table) ? (await info.execute(db)).rows.map(({ name }) => name) : [];
    };
    return await use({
      has: (table) => tables.has(table),
      async rows(table) {
        const columns = await columnsOf(table);
        if (columns.length === 0) return [];
        const listed = sql.join(columns.map((name) => sql.id(table, name)));
        const { rows } = await sql<Stored>`select ${listed} from ${sql.table(table)} order by rowid`.execute(db);
        return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, textOf(value)])));
      },
      async values(table, column) {
        if (!(await columnsOf(table)).includes(column)) return [];
        const each = sql.id(table, column);
        const found = sql<{ value: StoredValue }>`select distinct ${each} as value from ${sql.table(table)} order by 1`;
        return (await found.execute(db)).rows.map(({ value }) => textOf(value));
      },
    });
  } catch (error) {
    if (error instanceof Database.SqliteError) throw unreadable(`${file}: ${error.message}`);
    throw error;
  } finally {
    await db.destroy();
  }
}
