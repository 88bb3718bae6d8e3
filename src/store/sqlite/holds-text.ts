import { type RawBuilder, sql } from "kysely";

/** Whether a column holds a text anywhere, ASCII letters without regard to case; `%` and `_` stand for themselves. */
export function holdsText(column: string, text: string): RawBuilder<boolean> {
  const pattern = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  return sql<boolean>`${sql.ref(column)} like ${pattern} escape '\\'`;
}
