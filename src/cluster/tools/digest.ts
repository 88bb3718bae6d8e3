import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Database as Sqlite } from "better-sqlite3";

/** The content of one table. */
export interface TableDigest {
  readonly table: string;
  readonly rows: number;
  /** SHA-256 of all rows in hex. */
  readonly digest: string;
}

/** What describes this file and not the data. */
const LOCAL_TABLES: ReadonlySet<string> = new Set(["local_state"]);
const ROWS_OF_A_TURN = 2000;

/**
 * The content of every table, in the order of primary keys: two nodes at the same position of the log
 * have the same digests. One reading transaction, in turns of the loop. @param onBegun called in the
 * transaction, from which on later commits do not show
 */
export async function digestOf(reader: Sqlite, onBegun: () => void = () => undefined): Promise<TableDigest[]> {
  reader.exec("begin");
  try {
    const tables = reader
      .prepare<[], string>("select name from sqlite_schema where type = 'table' and sql is not null order by name")
      .pluck()
      .all()
      .filter((table) => !LOCAL_TABLES.has(table) && !/^sqlite_stat\d$/.test(table));
    onBegun();
    const digests: TableDigest[] = [];
    for (const table of tables) digests.push(await digestOfTable(reader, table));
    return digests;
  } finally {
    reader.exec("rollback");
  }
}

async function digestOfTable(reader: Sqlite, table: string): Promise<TableDigest> {
  const key = reader
    .prepare<[string], string>("select name from pragma_table_info(?) where pk > 0 order by pk")
    .pluck()
    .all(table);
  const order = key.length > 0 ? key.map(quoted).join(", ") : "rowid";
  const hash = createHash("sha256");
  let rows = 0;
  // The names are those of the schema.
  const statement = reader
    .prepare(["select * from", quoted(table), "order by", order].join(" "))
    .raw()
    .safeIntegers();
  for (const row of statement.iterate() as IterableIterator<readonly unknown[]>) {
    for (const value of row) noteValue(hash, value);
    if (++rows % ROWS_OF_A_TURN === 0) await setImmediate();
  }
  return { table, rows, digest: hash.digest("hex") };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The hash has types and lengths, too: `1`, `1.0`, `'1'` and `x'31'` differ. */
function noteValue(hash: ReturnType<typeof createHash>, value: unknown): void {
  if (value === null) hash.update("n");
  else if (Buffer.isBuffer(value)) hash.update(`b${value.length}:`).update(value);
  else if (typeof value === "string") hash.update(`s${Buffer.byteLength(value)}:`).update(value);
  else hash.update(`${typeof value === "bigint" ? "i" : "r"}${value};`);
}

/** Tables that differ between two digests, by name. */
export function differing(ours: readonly TableDigest[], theirs: readonly TableDigest[]): string[] {
  const others = new Map(theirs.map(({ table, digest }) => [table, digest]));
  const differ = ours.filter(({ table, digest }) => others.get(table) !== digest).map(({ table }) => table);
  const known = new Set(ours.map(({ table }) => table));
  return [...differ, ...[...others.keys()].filter((table) => !known.has(table))].sort();
}
