import { statSync } from "node:fs";
import type { Database as Sqlite } from "better-sqlite3";
import { reading } from "../../store/sqlite/connection.ts";

/** Where a node is in the log: what its file holds. */
export interface Position {
  /** Sequence of the last message; 0: none. */
  readonly sequence: number;
  /** Id of its record. */
  readonly id: string;
  readonly term: number;
}

export const START: Position = { sequence: 0, id: "", term: 0 };

const KEY = "cluster.position";
const TABLE =
  "create table if not exists local_state (key text primary key, value any, updatedAt integer not null) strict, without rowid";

/** Call it before statements are recorded. */
export function preparePosition(connection: Sqlite): void {
  connection.prepare(TABLE).run();
}

export function readPosition(connection: Sqlite): Position | null {
  const isThere = connection.prepare("select 1 from sqlite_schema where name = 'local_state'").get();
  if (!isThere) return null;
  const text = connection.prepare<[string], string>("select value from local_state where key = ?").pluck().get(KEY);
  return text === undefined ? null : (JSON.parse(text) as Position);
}

/** Whether a file has more than a node makes before it applies its first record. */
export function hasTables(file: string): boolean {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) return false;
  const query = "select 1 from sqlite_schema where name <> 'local_state' limit 1";
  return reading(file, (connection) => connection.prepare(query).get() !== undefined);
}

/** Makes a file the first one of a cluster. */
export function startPosition(connection: Sqlite, position: Position): void {
  preparePosition(connection);
  positionWriter(connection)(position);
}

/** @returns stores a position in the open transaction */
export function positionWriter(connection: Sqlite): (position: Position) => void {
  const write = connection.prepare(
    `insert into local_state (key, value, updatedAt) values (?, ?, ?)
     on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`,
  );
  return (position) => {
    write.run(KEY, JSON.stringify(position), Date.now());
  };
}
