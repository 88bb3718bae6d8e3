import { type SelectQueryBuilder, sql } from "kysely";

/** Which rows of a list, as http/pagination.ts reads it from a request. */
interface Page {
  /** What the cursor holds: the position of the row before this page. */
  readonly after: readonly (string | number)[] | null;
  readonly limit: number;
  readonly offset: number;
}

/** How many rows a query finds, whatever it selects of them. */
export async function countOf<DB, TB extends keyof DB, O>(query: SelectQueryBuilder<DB, TB, O>): Promise<number> {
  const { n } = await query
    .clearSelect()
    .select(sql`count(*)`.as("n"))
    .$castTo<{ n: number }>()
    .executeTakeFirstOrThrow();
  return n;
}

/** A page of rows and the first of the next one, newest first: ids are in the order of time. */
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
