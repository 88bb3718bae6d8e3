import type { TestPrism } from "../../helpers/prism.ts";

export type RowCounts = Readonly<Record<string, number>>;

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
    .filter((name) => !except.includes(name));
  // The names come from the schema itself.
  const count = (name: string) => {
    // The store itself writes these every few seconds.
    const where = name === "settings" ? " where key not like 'store.%'" : "";
    return reader.prepare<[], number>(`select count(*) from "${name}"${where}`).pluck().get() ?? 0;
  };
  return Object.fromEntries(names.map((name) => [name, count(name)]));
}
