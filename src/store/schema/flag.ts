/** A column that answers a question: SQLite has no booleans. */
export type Flag = 0 | 1;
