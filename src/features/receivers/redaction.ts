/** What is shown in place of a secret. */
export const MASK = "•••";

const SECRET_NAMES =
  /^(?:.*[_-])?(?:password|passwd|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|authorization|auth|credentials?|signature|cookie|ping_url|update_url)$/i;
/** Replacing a shorter text would change unrelated ones. */
const MIN_SECRET = 6;

export function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(name) || /signature|authorization|^cookie$|api-?key$/i.test(name);
}

/** Masks secrets by value, in the forms in which a request can contain them. */
export class Redaction {
  readonly #forms: readonly string[];
  readonly #names: ReadonlySet<string>;

  /** @param names further members whose values are masked */
  constructor(secrets: readonly string[], names: readonly string[] = []) {
    const forms = secrets
      .filter((secret) => secret.length >= MIN_SECRET)
      .flatMap((secret) => [
        secret,
        encodeURIComponent(secret),
        Buffer.from(secret).toString("base64"),
        JSON.stringify(secret).slice(1, -1),
      ]);
    this.#forms = [...new Set(forms)];
    this.#names = new Set(names);
  }

  text(text: string): string {
    let masked = text;
    for (const form of this.#forms) masked = masked.replaceAll(form, MASK);
    return masked;
  }

  /** Headers and parameters, without secrets by name and value. */
  record(record: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(record).map(([name, value]) => [name, this.#isSecret(name) ? MASK : this.text(value)]),
    );
  }

  /** A copy of a JSON value, without secrets by name and value. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((each: unknown) => this.value(each));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([name, member]): [string, unknown] => {
      const isMasked = this.#isSecret(name) && (typeof member === "string" || typeof member === "number");
      return [this.text(name), isMasked ? MASK : this.value(member)];
    });
    return Object.fromEntries(entries);
  }

  #isSecret(name: string): boolean {
    return isSecretName(name) || this.#names.has(name);
  }
}
