/** SQL functions with results that depend on time or machine. */
const CHANCE =
  /\b(random|randomblob|strftime|datetime|julianday|unixepoch|last_insert_rowid)\s*\(|\bdate\s*\(|\btime\s*\(|current_(timestamp|time|date)\b|'now'/i;

/**
 * Why a changing statement may change other rows elsewhere; null for one that does not, and for one
 * that only reads.
 */
export function whyNotTheSame(sql: string): string | null {
  const text = sql.replaceAll(/\s+/g, " ").trim();
  if (!/^(insert|update|delete|replace|with)\b/i.test(text) || !/\b(insert|update|delete|replace)\b/i.test(text))
    return null;
  const [chance] = CHANCE.exec(text) ?? [];
  if (chance !== undefined) return `asks for ${chance.trim()}`;
  return /\blimit\b/i.test(text) && !/\border by\b/i.test(text) ? "has a limit and no order" : null;
}
