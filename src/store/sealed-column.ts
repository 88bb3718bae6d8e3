import { type RawBuilder, sql } from "kysely";
import { KEY_ID_BYTES, type SealedBox, UnsealError } from "../core/crypto/sealed-box.ts";
import type { Database, ReadDb, Trx } from "./database.ts";
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

const BATCH = 200;

interface Audit {
  record(
    entry: {
      readonly action: "key.rotate";
      readonly resourceType: string;
      readonly metadata: { readonly column: string; readonly values: number };
    },
    options: { readonly trx: Trx },
  ): Promise<unknown>;
}

export interface Resealed {
  /** Values sealed again with the current key. */
  readonly resealed: number;
  /** Values that no configured key opens; they are unchanged. */
  readonly unreadable: number;
}

/**
 * Reseals values of earlier keys with the current one, in transactions of a few hundred values,
 * each with an audit row. The key id shows what is done, so an interrupted run can be repeated.
 */
export async function reseal(
  parts: { readonly database: Database; readonly audit: Audit; readonly box: SealedBox },
  columns: readonly SealedColumn[],
  onBatch: (resealed: number) => void = () => undefined,
): Promise<Resealed> {
  let resealed = 0;
  let unreadable = 0;
  for (const column of columns) {
    for (let after = ""; ; ) {
      const batch = await parts.database.write((trx) => resealBatch(parts, column, after, trx));
      resealed += batch.resealed;
      unreadable += batch.unreadable;
      onBatch(resealed);
      if (batch.last === null) break;
      after = batch.last;
    }
  }
  return { resealed, unreadable };
}

async function resealBatch(
  { audit, box }: { readonly audit: Audit; readonly box: SealedBox },
  column: SealedColumn,
  after: string,
  trx: Trx,
): Promise<Resealed & { last: string | null }> {
  const stale = await column.stale(trx, box.keyId, after, BATCH);
  let resealed = 0;
  for (const { id, place, sealed } of stale) {
    const fresh = sealWithCurrentKey(box, place, sealed);
    if (!fresh) continue;
    await column.replace(trx, id, fresh);
    resealed++;
  }
  if (resealed > 0) {
    const metadata = { column: column.name, values: resealed };
    await audit.record({ action: "key.rotate", resourceType: "encryption", metadata }, { trx });
  }
  const last = stale.length < BATCH ? null : (stale.at(-1)?.id ?? null);
  return { resealed, unreadable: stale.length - resealed, last };
}

function sealWithCurrentKey(box: SealedBox, place: string, sealed: Uint8Array): Buffer | undefined {
  try {
    return box.seal(place, box.open(place, sealed));
  } catch (error) {
    if (error instanceof UnsealError) return undefined;
    throw error;
  }
}
