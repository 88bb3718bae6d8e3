import type SqliteDatabase from "better-sqlite3";

/**
 * The lines of SQLite's plan for a statement, whose parameters stay open as they are when it is
 * compiled.
 */
export function planOf(connection: SqliteDatabase.Database, sql: string): string[] {
  const names = [...sql.matchAll(/[@:]([A-Za-z]\w*)/g)].map(([, name]) => [name, null]);
  const marks = sql.replaceAll(/'[^']*'/g, "").split("?").length - 1;
  const parameters = marks > 0 ? Array(marks).fill(null) : names.length > 0 ? [Object.fromEntries(names)] : [];
  return connection
    .prepare<unknown[], { detail: string }>(`explain query plan ${sql}`)
    .all(...parameters)
    .map(({ detail }) => detail);
}

/**
 * Each plan with the shortest of its statements. Statements that read no table have no plan.
 * @param connection of a database with all tables
 */
export function plansOf(connection: SqliteDatabase.Database, statements: Iterable<string>): Map<string, string> {
  const found = new Map<string, string>();
  for (const sql of new Set(statements)) {
    if (!/^\s*(?:select|insert|update|delete|with|replace)\b/i.test(sql)) continue;
    const plan = planIn(connection, sql);
    const known = found.get(plan);
    if (plan !== "" && (known === undefined || sql.length < known.length)) found.set(plan, sql);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Tables that a program makes for itself while it runs are not in the database. */
function planIn(connection: SqliteDatabase.Database, sql: string): string {
  try {
    return planOf(connection, sql).join("\n");
  } catch (error) {
    return `no plan: ${error instanceof Error ? error.message : String(error)}`;
  }
}
