import { HIDDEN, type Redact, redactorOf } from "../../core/text/redact.ts";

const SECRET_NAMES = new RegExp(
  `^(?:.*[._-])?(?:${[
    ...["password", "passwords", "passwd", "passphrase", "pass", "pwd", "secret", "secrets", "token", "tokens"],
    ...["api[_-]?keys?", "access[_-]?key", "private[_-]?key", "authorization", "auth", "credentials?"],
    ...["signature", "cookie", "ping_url", "update_url"],
  ].join("|")})$`,
  "i",
);
/** Names of counts too, such as `{"tokens": 120, "pass": 3}`. */
const TEXT_ONLY = /(?:tokens|pass|secrets)$/i;

/** Members with a text in broken JSON. */
const PAIRS = /("([^"\\]{1,100})"\s{0,10}:\s{0,10})"(?:[^"\\]|\\.)*(?:"|$)/g;

function isSecretName(name: string): boolean {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1_$2");
  return SECRET_NAMES.test(words) || /signature|authorization|^cookie$|api-?key$/i.test(name);
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
    return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, this.member(name, value)]));
  }

  /** A copy of a JSON value, without secrets by name and value. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((each: unknown) => this.value(each));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([name, member]): [string, unknown] => {
      return [this.text(name), this.#isSecret(name) ? this.#masked(name, member) : this.value(member)];
    });
    return Object.fromEntries(entries);
  }

  /** A text under a name, such as a field of a form; JSON in it is masked as a value. */
  member(name: string, text: string): string {
    if (this.#isSecret(name)) return HIDDEN;
    return this.json(text);
  }

  /** A text that may be JSON: that is made again, because it may have a member twice. */
  json(text: string): string {
    if (!/^\s*[[{]/.test(text)) return this.text(text);
    try {
      return JSON.stringify(this.value(JSON.parse(text)));
    } catch {
      // Broken, or it nests too deeply.
      const masked = text.replace(PAIRS, (whole, start: string, name: string) =>
        this.#isSecret(name) ? `${start}"${HIDDEN}"` : whole,
      );
      return this.text(masked);
    }
  }

  #masked(name: string, member: unknown): unknown {
    if (typeof member === "string") return HIDDEN;
    if (typeof member === "number") return TEXT_ONLY.test(name) ? member : HIDDEN;
    if (!Array.isArray(member)) return this.value(member);
    return member.map((each: unknown) => this.#masked(name, each));
  }

  #isSecret(name: string): boolean {
    return isSecretName(name) || this.#names.has(name);
  }
}
