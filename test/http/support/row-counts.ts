import type { TestPrism } from "../../helpers/prism.ts";

export type RowCounts = Readonly<Record<string, number>>;

/** The store itself writes this every few seconds. */
const OWN_TABLE = "local_state";

/**
 * How many rows each table holds, as readers see it. @param except tables that may change
 * meanwhile.
 */
export function rowCounts(prism: TestPrism, except: readonly string[] = []): RowCounts {
  const { reader } = prism.parts.base.store;
  const names = reader
    .prepare<[], string>(
      "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name",
    )
    .pluck()
    .all()
    .filter((name) => name !== OWN_TABLE && !except.includes(name));
  // The names come from the schema itself.
  const count = (name: string) => reader.prepare<[], number>(`select count(*) from "${name}"`).pluck().get() ?? 0;
  return Object.fromEntries(names.map((name) => [name, count(name)]));
}
