import { type Kysely, type RawBuilder, type SelectQueryBuilder, sql } from "kysely";
import type { ReadDb, Trx } from "../database.ts";

/** The requested rows of a list, as http/api/pagination.ts reads them. */
interface Page {
  /** Content of the cursor: the position of the row before this page. */
  readonly after: readonly (string | number)[] | null;
  readonly limit: number;
  readonly offset: number;
}

/** The rows of a table that is named at run time; the caller knows their type. */
export function rowsOf(db: ReadDb | Trx, table: string): SelectQueryBuilder<Record<string, object>, string, object> {
  return (db as unknown as Pick<Kysely<Record<string, object>>, "selectFrom">).selectFrom(table);
}

/** Number of rows of a query, whatever columns it selects. */
export async function countOf<DB, TB extends keyof DB, O>(query: SelectQueryBuilder<DB, TB, O>): Promise<number> {
  const { n } = await query
    .clearSelect()
    .select(sql`count(*)`.as("n"))
    .$castTo<{ n: number }>()
    .executeTakeFirstOrThrow();
  return n;
}

/** A list of any length as one bound value, for `in`. */
export function valuesOf<T extends string | number>(list: readonly T[]): RawBuilder<T> {
  return sql<T>`(select value from json_each(${JSON.stringify(list)}))`;
}

/** A page of rows and the first one of the next page, newest first: ids are in order of time. */
export function newestFirst<DB, TB extends keyof DB, O>(
  query: SelectQueryBuilder<DB, TB, O>,
  { after, limit, offset }: Page,
): SelectQueryBuilder<DB, TB, O> {
  const rows = after ? query.where(sql<boolean>`id < ${String(after[0])}`) : query;
  return rows
    .orderBy(sql`id`, "desc")
    .limit(limit + 1)
    .offset(offset);
}

/** Limit for the large columns of a page's rows together. A larger row is a page of its own. */
export const FITTING_BYTES = 4_194_304;

/** The columns of a list that can be large. */
export interface RowBytes {
  readonly bytes: RawBuilder<number>;
  /** The largest possible row: pages that are small in any case are not measured. */
  readonly largest: number;
}

export interface FittingRows<R> {
  readonly rows: R[];
  /** Further rows of the page were left out. */
  readonly isCut: boolean;
}

/** Size of these columns, read from the row's header without the pages of long values. */
export function bytesOf(...columns: readonly string[]): RawBuilder<number> {
  return sql<number>`${sql.join(
    columns.map((column) => sql`ifnull(octet_length(${sql.ref(column)}), 0)`),
    sql` + `,
  )}`;
}

/** Number of rows that fit, at least one. @param sizes in bytes */
export function countFitting(sizes: readonly number[], limitBytes = FITTING_BYTES): number {
  let total = 0;
  for (const [count, size] of sizes.entries()) {
    total += size;
    if (count > 0 && total > limitBytes) return count;
  }
  return sizes.length;
}

/**
 * The first rows of a query whose large columns hold up to {@link FITTING_BYTES} together. Sizes
 * are read first, so that memory holds no more than a page. @param query ordered, with its offset.
 * @param limit of rows
 */
export async function fittingRows<DB, TB extends keyof DB, O>(
  query: SelectQueryBuilder<DB, TB, O>,
  limit: number,
  { bytes, largest }: RowBytes,
): Promise<FittingRows<O>> {
  if (limit * largest <= FITTING_BYTES) return { rows: await query.limit(limit).execute(), isCut: false };
  const measured = query.clearSelect().select(bytes.as("bytes")).limit(limit).$castTo<{ bytes: number }>();
  const sizes = (await measured.execute()).map((row) => row.bytes);
  const fitting = countFitting(sizes);
  const rows = fitting === 0 ? [] : await query.limit(fitting).execute();
  return { rows, isCut: rows.length < sizes.length };
}

/**
 * Limit for the texts that one statement searches. An unfavourable pattern takes 100 ns a byte, so
 * that other reads of the scan thread wait three seconds at most.
 */
export const SEARCHED_BYTES = 33_554_432;

/**
 * The number of the newest row that a search must leave to the next statement: with it the rows of
 * the query hold more than {@link SEARCHED_BYTES}. Undefined: all of them fit.
 * @param query of a table with `seq`. @param bytes of a row, less than the limit
 */
export async function firstBeyondSearch<DB, TB extends keyof DB, O>(
  db: ReadDb,
  query: SelectQueryBuilder<DB, TB, O>,
  bytes: RawBuilder<number>,
): Promise<number | undefined> {
  const measured = query
    .clearSelect()
    .select([sql<number>`seq`.as("seq"), sql<number>`sum(${bytes}) over (order by seq desc)`.as("total")]);
  const { rows } = await sql<{ seq: number }>`
    select seq from (${measured}) where total > ${SEARCHED_BYTES} limit 1`.execute(db);
  return rows[0]?.seq;
}

/** Whether a column contains a text, ignoring ASCII case; `%` and `_` are literal. */
export function holdsText(column: string, text: string): RawBuilder<boolean> {
  const pattern = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  return sql<boolean>`${sql.ref(column)} like ${pattern} escape '\\'`;
}
