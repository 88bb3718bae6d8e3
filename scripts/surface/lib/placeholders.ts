/** What is new in each run, by kind; the first group is kept in front of the placeholder. */
const KINDS: readonly { readonly kind: string; readonly pattern: RegExp; readonly isNumbered: boolean }[] = [
  { kind: "id", pattern: /()\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, isNumbered: true },
  { kind: "time", pattern: /()\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?/g, isNumbered: false },
  { kind: "secret", pattern: /()\b(?:pr[a-z]|whsec)_[A-Za-z0-9+/_-]{16,}={0,2}/g, isNumbered: true },
  { kind: "hash", pattern: /()\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})\b/g, isNumbered: true },
  { kind: "port", pattern: /((?:127\.0\.0\.1|localhost):)\d{2,5}\b/g, isNumbered: false },
  { kind: "ms", pattern: /()\b1[6-9]\d{11}\b/g, isNumbered: false },
];

/**
 * Replaces what differs between two runs of the same program: ids, secrets and hashes by placeholders
 * that are numbered in the order of their first appearance, so that the same id stays recognisable;
 * times and ports by their kind.
 */
export class Placeholders {
  readonly #known: readonly (readonly [string, string])[];
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** @param known exact texts and what stands for them, such as a folder. */
  constructor(known: Readonly<Record<string, string>> = {}) {
    this.#known = Object.entries(known).sort(([a], [b]) => b.length - a.length);
  }

  in(text: string): string {
    let replaced = text;
    for (const [exact, name] of this.#known) replaced = replaced.replaceAll(exact, name);
    for (const { kind, pattern, isNumbered } of KINDS)
      replaced = replaced.replace(pattern, (found: string, before: string) => {
        const what = found.slice(before.length);
        return `${before}<${isNumbered ? this.#numbered(kind, what) : kind}>`;
      });
    return replaced;
  }

  #numbered(kind: string, found: string): string {
    const known = this.#names.get(found);
    if (known !== undefined) return known;
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    const name = `${kind} ${number}`;
    this.#names.set(found, name);
    return name;
  }
}
