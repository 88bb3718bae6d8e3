import { HIDDEN, type Redact, redactorOf } from "../../core/text/redact.ts";

const SECRET_NAMES =
  /^(?:.*[_-])?(?:password|passwd|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|authorization|auth|credentials?|signature|cookie|ping_url|update_url)$/i;

function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(name) || /signature|authorization|^cookie$|api-?key$/i.test(name);
}

/** Masks secrets by value and by the names of members. */
export class Redaction {
  readonly text: Redact;
  readonly #names: ReadonlySet<string>;

  /** @param names further members to mask */
  constructor(secrets: readonly string[], names: readonly string[] = []) {
    this.text = redactorOf(secrets);
    this.#names = new Set(names);
  }

  /** Headers and parameters, without secrets by name and value. */
  record(record: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(record).map(([name, value]) => [name, this.#isSecret(name) ? HIDDEN : this.text(value)]),
    );
  }

  /** A copy of a JSON value, without secrets by name and value. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((each: unknown) => this.value(each));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([name, member]): [string, unknown] => {
      const isMasked = this.#isSecret(name) && (typeof member === "string" || typeof member === "number");
      return [this.text(name), isMasked ? HIDDEN : this.value(member)];
    });
    return Object.fromEntries(entries);
  }

  #isSecret(name: string): boolean {
    return isSecretName(name) || this.#names.has(name);
  }
}
