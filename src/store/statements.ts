import type { CompiledQuery, Insertable, Updateable } from "kysely";
import { later, type Trx } from "./database.ts";
import type { Schema } from "./schema.ts";

/* Writes that need no result, see `later`. */

const texts = new Map<string, string>();

function textOf(key: string, make: () => string): string {
  const known = texts.get(key);
  if (known !== undefined) return known;
  const text = make();
  texts.set(key, text);
  return text;
}

/** Runs a built statement at the latest with the commit. */
export function runLater(trx: Trx, { sql, parameters }: CompiledQuery): void {
  later(trx, sql, parameters);
}

/** Inserts a row at the latest with the commit. */
export function insertLater<T extends keyof Schema & string>(trx: Trx, table: T, row: Insertable<Schema[T]>): void {
  const names = Object.keys(row);
  const sql = textOf(`insert ${table} ${names}`, () => {
    const columns = names.map((name) => `"${name}"`).join(", ");
    return `insert into "${table}" (${columns}) values (${names.map(() => "?").join(", ")})`;
  });
  later(trx, sql, Object.values(row));
}

/** Changes the row with this id at the latest with the commit. */
export function updateLater<T extends keyof Schema & string>(
  trx: Trx,
  table: T,
  id: string,
  values: Updateable<Schema[T]>,
): void {
  updateRowLater(trx, table, { id }, values);
}

/** Changes the rows with this key, which is not null, at the latest with the commit. */
export function updateRowLater<T extends keyof Schema & string>(
  trx: Trx,
  table: T,
  key: Readonly<Record<string, string | number>>,
  values: Updateable<Schema[T]>,
): void {
  const names = Object.keys(values);
  const keys = Object.keys(key);
  const sql = textOf(`update ${table} ${names} ${keys}`, () => {
    const columns = names.map((name) => `"${name}" = ?`).join(", ");
    const conditions = keys.map((name) => `"${name}" = ?`).join(" and ");
    return `update "${table}" set ${columns} where ${conditions}`;
  });
  later(trx, sql, [...Object.values(values), ...Object.values(key)]);
}
