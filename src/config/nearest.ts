import type { ErrorDetail } from "../core/errors.ts";

/** The name with the smallest edit distance to `wrong`, if it is similar enough to be a typo. */
export function nearestName(wrong: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(wrong.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(wrong.toLowerCase(), name.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance by rows; lengths that differ by `limit` or more give `limit`. */
function editDistance(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) >= limit) return limit;
  let row = Array.from({ length: right.length + 1 }, (_, i) => i);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const substitution = (row[j - 1] as number) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, substitution));
    }
    row = next;
  }
  return row[right.length] as number;
}

/** The detail of an error for a preset that there is not. */
export function unknownPreset(name: string, names: Iterable<string>, message: string): ErrorDetail {
  const nearest = nearestName(name, names);
  const fix = nearest === undefined ? {} : { fix: `did you mean ${nearest}?` };
  return { path: "preset", code: "PRESET_NOT_FOUND", message, ...fix };
}
