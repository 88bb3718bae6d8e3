import { LongInteger, parseWithLongIntegers, scanJson } from "../../../core/text/json-text.ts";
import { HIDDEN, type Redact, redactorOf } from "../../../core/text/redact.ts";

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

/** Members with a text or a number in JSON that cannot be parsed. */
const PAIRS = /("([^"\\]{1,100})"\s{0,10}:\s{0,10})(?:"(?:[^"\\]|\\.)*(?:"|$)|-?\d[\d.eE+-]{0,30})/g;

const MAX_VERDICTS = 5000;
/** The last words of a name decide. */
const MAX_NAME = 128;
const verdicts = new Map<string, boolean>();

/** Each name is judged once: a body has the same ones again and again. */
function isSecretName(name: string): boolean {
  const known = verdicts.get(name);
  if (known !== undefined) return known;
  const end = name.slice(-MAX_NAME);
  const words = end.replace(/([a-z0-9])([A-Z])/g, "$1_$2");
  const isSecret = SECRET_NAMES.test(words) || /signature|authorization|^cookie$|api-?key$/i.test(end);
  if (verdicts.size >= MAX_VERDICTS) verdicts.clear();
  if (name.length <= MAX_NAME) verdicts.set(name, isSecret);
  return isSecret;
}

/** Members of a text of JSON that is parsed to mask it. */
const MAX_MEMBERS = 2000;
const MAX_DEPTH = 64;

/** How many receivers are kept. */
const MAX_REDACTORS = 200;
const redactors = new Map<string, Redact>();

/** The forms of a receiver's secrets are made once, not for each request. */
function redactorFor(secrets: readonly string[]): Redact {
  const key = JSON.stringify(secrets);
  let redact = redactors.get(key);
  if (redact === undefined) {
    redact = redactorOf(secrets);
    if (redactors.size >= MAX_REDACTORS) redactors.clear();
    redactors.set(key, redact);
  }
  return redact;
}

/** Masks secrets by value and by the names of members. */
export class Redaction {
  readonly text: Redact;
  readonly #names: ReadonlySet<string>;
  readonly #maxMembers: number;
  #hasMasked = false;

  /**
   * @param names further members to mask
   * @param maxMembers a text of JSON with more is masked as text, without parsing it
   */
  constructor(secrets: readonly string[], names: readonly string[] = [], maxMembers = MAX_MEMBERS) {
    this.text = redactorFor(secrets);
    this.#names = new Set(names);
    this.#maxMembers = maxMembers;
  }

  /** Headers and parameters, without secrets by name and value. */
  record(record: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, this.member(name, value)]));
  }

  /** As {@link value}, or the value itself if nothing was masked. */
  masked(value: unknown): unknown {
    this.#hasMasked = false;
    const masked = this.value(value);
    return this.#hasMasked ? masked : value;
  }

  /** A copy of a JSON value, without secrets by name and value. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.#plain(value);
    if (Array.isArray(value)) return value.map((each: unknown) => this.value(each));
    if (typeof value !== "object" || value === null || value instanceof LongInteger) return value;
    const made: Record<string, unknown> = {};
    for (const name of Object.keys(value)) {
      const member = (value as Readonly<Record<string, unknown>>)[name];
      const shown = this.#plain(name);
      const masked = this.#isSecret(name) ? this.#maskedMember(name, member) : this.value(member);
      // Assigning this name would set the prototype.
      if (shown === "__proto__")
        Object.defineProperty(made, shown, { value: masked, enumerable: true, writable: true, configurable: true });
      else made[shown] = masked;
    }
    return made;
  }

  /** A text under a name, such as a field of a form; JSON in it is masked as a value. */
  member(name: string, text: string): string {
    if (this.#isSecret(name)) return HIDDEN;
    return this.json(text);
  }

  /**
   * A text that may be JSON: that is made again, because it may have a member twice. One that is
   * broken or cut, or has too many members, is masked as text.
   */
  json(text: string): string {
    if (!/^\s*[[{]/.test(text)) return this.text(text);
    const { depth, members } = scanJson(text, MAX_DEPTH, this.#maxMembers);
    try {
      if (depth <= MAX_DEPTH && members <= this.#maxMembers)
        return JSON.stringify(this.value(parseWithLongIntegers(text)));
    } catch {
      // Broken.
    }
    const masked = text.replace(PAIRS, (whole, start: string, name: string) =>
      this.#isSecret(name) ? `${start}"${HIDDEN}"` : whole,
    );
    return this.text(masked);
  }

  #plain(text: string): string {
    const plain = this.text(text);
    if (plain !== text) this.#hasMasked = true;
    return plain;
  }

  #maskedMember(name: string, member: unknown): unknown {
    if (typeof member === "string") return this.#hide();
    if (typeof member === "number" || member instanceof LongInteger)
      return TEXT_ONLY.test(name) ? member : this.#hide();
    if (!Array.isArray(member)) return this.value(member);
    return member.map((each: unknown) => this.#maskedMember(name, each));
  }

  #hide(): string {
    this.#hasMasked = true;
    return HIDDEN;
  }

  #isSecret(name: string): boolean {
    return isSecretName(name) || this.#names.has(name);
  }
}
