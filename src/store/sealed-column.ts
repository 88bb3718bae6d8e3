import { type RawBuilder, sql } from "kysely";
import { KEY_ID_BYTES } from "../core/sealed-box.ts";
import type { ReadDb, Trx } from "./database.ts";
import type { Schema } from "./schema.ts";

/** A column with sealed values, each with its own seal context. */
export interface SealedColumn {
  /** `table.column` */
  readonly name: string;
  /** Values after `after`, by id, that another key than `keyId` has sealed. */
  stale(db: ReadDb, keyId: Uint8Array, after: string, limit: number): Promise<SealedValue[]>;
  replace(trx: Trx, id: string, sealed: Uint8Array): Promise<void>;
  /** Number of values by key id. */
  byKey(db: ReadDb): Promise<{ keyId: Uint8Array; values: number }[]>;
}

export interface SealedValue {
  readonly id: string;
  readonly place: string;
  readonly sealed: Uint8Array;
}

interface ColumnOptions {
  /** Column that identifies the row. */
  readonly id?: string;
  /** Rows with a sealed value; undefined: all. */
  readonly where?: RawBuilder<unknown>;
}

/** @param place seal context of the row with this id */
export function sealedColumn(
  table: keyof Schema,
  column: string,
  place: (id: string) => string,
  { id: idColumn = "id", where = sql`true` }: ColumnOptions = {},
): SealedColumn {
  const [from, value, id] = [sql.table(table), sql.ref(column), sql.ref(idColumn)];
  const key = sql`substr(${value}, 1, ${sql.lit(KEY_ID_BYTES)})`;
  return {
    name: `${table}.${column}`,
    async stale(db, keyId, after, limit) {
      const { rows } = await sql<Omit<SealedValue, "place">>`
        select ${id} as id, ${value} as sealed from ${from}
        where ${where} and ${id} > ${after} and ${key} <> ${keyId} order by ${id} limit ${limit}`.execute(db);
      return rows.map((row) => ({ ...row, place: place(row.id) }));
    },
    async replace(trx, rowId, sealed) {
      await sql`update ${from} set ${value} = ${Buffer.from(sealed)} where ${id} = ${rowId}`.execute(trx);
    },
    async byKey(db) {
      const { rows } = await sql<{ keyId: Uint8Array; values: number }>`
        select ${key} as keyId, count(*) as "values" from ${from} where ${where} group by keyId`.execute(db);
      return rows;
    },
  };
}
