/** One member of each item: `valuesOf(replies, "status")`. */
export function valuesOf<T, K extends keyof T>(items: readonly T[], name: K): T[K][] {
  return items.map((item) => item[name]);
}

/** Several members of each item, in this order: `rowsWith(alerts, "id", "state")`. */
export function rowsWith<T, const K extends readonly (keyof T)[]>(
  items: readonly T[],
  ...names: K
): { -readonly [At in keyof K]: T[K[At]] }[] {
  return items.map((item) => names.map((name) => item[name]) as { -readonly [At in keyof K]: T[K[At]] });
}
