/**
 * One line for each value of a JSON document: the way to it, and the value. Keys are sorted, arrays
 * keep their order.
 * @param sets keys of arrays that are sorted too
 */
export function leavesOf(value: unknown, sets: readonly string[] = [], way = ""): string[] {
  if (typeof value !== "object" || value === null) return [`${way} = ${JSON.stringify(value)}`];
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== "object" || item === null)) {
      const items = sets.includes(way.slice(way.lastIndexOf(" ") + 1)) ? [...value].sort() : value;
      return [`${way} = ${JSON.stringify(items)}`];
    }
    return value.flatMap((item, index) => leavesOf(item, sets, `${way} [${index}]`));
  }
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return [`${way} = {}`];
  return entries.flatMap(([key, item]) => leavesOf(item, sets, way === "" ? key : `${way} ${key}`));
}
