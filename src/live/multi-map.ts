/** Several values per key. The only value of a key, the usual case, needs no set of its own. */
export type MultiMap<V extends object> = Map<string, V | Set<V>>;

export function addTo<V extends object>(map: MultiMap<V>, key: string, value: V): void {
  const held = map.get(key);
  if (held instanceof Set) held.add(value);
  else if (held === undefined) map.set(key, value);
  else if (held !== value) map.set(key, new Set([held, value]));
}

export function removeFrom<V extends object>(map: MultiMap<V>, key: string, value: V): void {
  const held = map.get(key);
  if (held === value) map.delete(key);
  else if (held instanceof Set && held.delete(value) && held.size === 0) map.delete(key);
}

/** In the order of adding; those added or removed meanwhile are seen as in a set. */
export function valuesOf<V extends object>(map: MultiMap<V>, key: string): Iterable<V> {
  const held = map.get(key);
  if (held === undefined) return [];
  return held instanceof Set ? held : [held];
}

export function countOf<V extends object>(map: MultiMap<V>, key: string): number {
  const held = map.get(key);
  if (held === undefined) return 0;
  return held instanceof Set ? held.size : 1;
}
