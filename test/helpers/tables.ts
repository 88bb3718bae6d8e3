import type { TestPrism } from "./prism.ts";

/** Rows of a running server's tables, as committed: what a reply promised must be there. */
export function rowsOf<T>(prism: TestPrism, sql: string, ...parameters: readonly unknown[]): T[] {
  return prism.parts.base.store.reader.prepare<unknown[], T>(sql).all(...parameters);
}

/** The only column of the first row. */
export function scalarOf<T>(prism: TestPrism, sql: string, ...parameters: readonly unknown[]): T | undefined {
  return prism.parts.base.store.reader
    .prepare<unknown[], T>(sql)
    .pluck()
    .get(...parameters);
}

/** How many rows a table holds. */
export function countOf(prism: TestPrism, table: string): number {
  return scalarOf<number>(prism, `select count(*) from ${table}`) ?? 0;
}
