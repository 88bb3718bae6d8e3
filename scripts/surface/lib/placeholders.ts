interface Kind {
  readonly kind: string;
  /** What the first group finds stays in front of the placeholder. */
  readonly pattern: RegExp;
  readonly isNumbered?: true;
}

/** Members with a count, size or position that depends on how fast the machine was. */
const COUNTS = "seq|failures|offset|attempts|tookMs|scanned|percent|uptimeMs|pid|durationMs|latencyMs|\\w*[bB]ytes";

/** What is new in each run, in the order in which it is replaced. */
const KINDS: readonly Kind[] = [
  { kind: "id", pattern: /()\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, isNumbered: true },
  { kind: "time", pattern: /()\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z| ?[+-]\d\d:\d\d\b)?/g },
  { kind: "time", pattern: /()\b20\d{6}T\d{6}Z/g },
  { kind: "short id", pattern: /()\b01a[0-9a-f]{5}-[0-9a-f]{4}\b/g },
  { kind: "secret", pattern: /()\b(?:pr[a-z]|whsec)_[A-Za-z0-9+/_-]{16,}={0,2}/g, isNumbered: true },
  { kind: "hash", pattern: /("(?:hash|prevHash)": ?")[0-9a-f]{64}/g },
  { kind: "hash", pattern: /()\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})\b/g, isNumbered: true },
  { kind: "secret", pattern: /("password": ?")[^"]+/g },
  { kind: "secret", pattern: /(\/in\/|[?&]sig=)[\w-]{16,}/g },
  { kind: "port", pattern: /((?:127\.0\.0\.1|localhost):)\d{4,5}\b/g },
  { kind: "ms", pattern: /()\b1[6-9]\d{11}\b/g },
  { kind: "n", pattern: new RegExp(`("(?:${COUNTS})": ?)\\d+(?:\\.\\d+)?`, "g") },
  { kind: "n", pattern: /(\(pid |\boffset )\d+/g },
  // Columns of tables: the offset after a time, failures of an active webhook, attempts of 8.
  { kind: "n", pattern: /(<time> {2}#?)\d+ +/g },
  { kind: "n", pattern: /(<id \d+> +\S+ +yes +)\d+ +/g },
  { kind: "n", pattern: /()\b\d+(?=\/8\b)/g },
  // The offset at the start of a row of CSV.
  { kind: "n", pattern: /(^)\d+(?=,<id)/gm },
];

/**
 * Replaces what differs between two runs of the same program: ids, secrets and hashes by placeholders
 * that are numbered in the order of their first appearance, so that the same id stays recognisable;
 * times, ports and counts by their kind.
 */
export class Placeholders {
  readonly #known: readonly (readonly [string, string])[];
  readonly #prefixes = new Set<string>();
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** @param known exact texts and what stands for them, such as a folder. */
  constructor(known: Readonly<Record<string, string>> = {}) {
    this.#known = Object.entries(known).sort(([a], [b]) => b.length - a.length);
  }

  /** Numbers start again: a new id in one answer does not change the text of later ones. */
  restart(): this {
    this.#names.clear();
    this.#counts.clear();
    return this;
  }

  in(text: string): string {
    // The first characters of a secret are in tables too, where nothing shows what they are.
    for (const [, prefix = ""] of text.matchAll(/"prefix": ?"([\w-]{6,8})"/g)) this.#prefixes.add(prefix);
    let replaced = text;
    for (const [exact, name] of this.#known) replaced = replaced.replaceAll(exact, name);
    for (const { kind, pattern, isNumbered } of KINDS)
      replaced = replaced.replace(pattern, (found: string, before: string) => {
        const what = found.slice(before.length);
        return `${before}<${isNumbered ? this.#numbered(kind, what) : kind}>`;
      });
    for (const prefix of this.#prefixes) replaced = replaced.replaceAll(prefix, "<prefix>");
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
