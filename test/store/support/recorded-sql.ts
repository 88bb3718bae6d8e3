import SqliteDatabase from "better-sqlite3";
import { Scanner } from "../../../src/store/scanner.ts";

/**
 * Every statement that this process compiles from now on, those of the scan thread included. To be
 * called before a server starts, which must have its writer in the main thread.
 */
export function recordSql(): Set<string> {
  const seen = new Set<string>();
  const prepare = SqliteDatabase.prototype.prepare;
  SqliteDatabase.prototype.prepare = function (this: SqliteDatabase.Database, sql: string) {
    seen.add(sql);
    return prepare.call(this, sql);
  } as typeof prepare;
  const query = Scanner.prototype.query;
  Scanner.prototype.query = function (this: Scanner, sql, parameters) {
    seen.add(sql);
    return query.call(this, sql, parameters);
  };
  return seen;
}
