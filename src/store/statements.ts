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
  const names = Object.keys(values);
  const sql = textOf(`update ${table} ${names}`, () => {
    const columns = names.map((name) => `"${name}" = ?`).join(", ");
    return `update "${table}" set ${columns} where "id" = ?`;
  });
  later(trx, sql, [...Object.values(values), id]);
}
