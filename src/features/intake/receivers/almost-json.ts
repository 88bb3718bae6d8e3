/** Longer texts are not repaired. */
const MAX_REPAIRED = 262_144;

interface Repaired {
  /** JSON, if the text had no other faults. */
  readonly text: string;
  /** Such as "a comma before an end". */
  readonly faults: readonly string[];
}

/**
 * Mends the faults of JSON that templates and scripts make: bare control characters, unknown escapes
 * and quotes inside texts, commas before an end, missing values, and the texts and words of Python.
 * @returns null for a long text, and where a quote may be a member's: a secret by its name would be text
 */
export function repairJson(text: string): Repaired | null {
  if (text.length > MAX_REPAIRED) return null;
  const repair = new Repair(text);
  const mended = repair.run();
  return repair.isUnclear ? null : { text: mended, faults: [...repair.faults] };
}

const WORDS: Readonly<Record<string, string>> = {
  ...{ True: "true", False: "false", None: "null" },
  ...{ NaN: "null", Infinity: "null", undefined: "null", nil: "null" },
};
const CONTROLS: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const KNOWN_ESCAPE = /\\(?:["\\/bfnrt]|u[\da-f]{4})/iy;
const WORD = /[A-Za-z]+/y;
/** After a text in an object or a list: its end, or another member or element. */
const AFTER_TEXT = /\s*(?:$|[}\]]\s*(?:$|[,}\]])|,\s*(?:["'[{\d}\]-]|true|false|null))/y;
const NEXT_MEMBER = /\s*,\s*(?:}|(["'])(?:[^"'\\]|\\.){0,200}\1\s*:)/y;
const AFTER_KEY = /\s*:/y;

/** One pass over a text, which copies what is JSON and mends the rest. Never more strict than JSON. */
class Repair {
  readonly faults = new Set<string>();
  /** A quote inside a text is followed by a colon, as a name is. */
  isUnclear = false;
  readonly #text: string;
  readonly #out: string[] = [];
  /** The brackets around the position. */
  readonly #open: ("{" | "[")[] = [];
  #at = 0;
  /** What comes next in an object. */
  #expectsKey = false;
  /** After a colon. */
  #expectsValue = false;

  constructor(text: string) {
    this.#text = text;
  }

  run(): string {
    while (this.#at < this.#text.length) this.#token(this.#text.charAt(this.#at));
    return this.#out.join("");
  }

  #token(char: string): void {
    if (char === '"' || char === "'") return this.#string(char);
    if (/[A-Za-z]/.test(char)) return this.#word();
    if (char === "{" || char === "[") this.#open.push(char);
    if (this.#expectsValue && (char === "," || char === "}")) this.#mend("null", "a missing value");
    if (!/\s/.test(char)) this.#expectsValue = char === ":";
    if (char === "}" || char === "]") this.#open.pop();
    this.#at++;
    if (char === "," && /[}\]]/.test(this.#next())) {
      this.faults.add("a comma before an end");
      return;
    }
    if (char === "{" || char === ",") this.#expectsKey = this.#open.at(-1) === "{";
    else if (char === ":") this.#expectsKey = false;
    this.#out.push(char);
  }

  #mend(piece: string, fault: string): void {
    this.#out.push(piece);
    this.faults.add(fault);
  }

  /** The next character that is not white space. */
  #next(): string {
    let at = this.#at;
    while (at < this.#text.length && /\s/.test(this.#text.charAt(at))) at++;
    return this.#text.charAt(at);
  }

  #matches(pattern: RegExp, at: number): boolean {
    pattern.lastIndex = at;
    return pattern.test(this.#text);
  }

  #word(): void {
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.#text)?.[0] ?? "";
    const known = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    this.#at += word.length;
    this.#expectsValue = false;
    if (known === undefined) this.#out.push(word);
    else this.#mend(known, `the word ${word}`);
  }

  #string(quote: string): void {
    const isKey = this.#expectsKey;
    if (quote === "'") this.faults.add("single quotes");
    this.#expectsKey = false;
    this.#expectsValue = false;
    this.#out.push('"');
    this.#at++;
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text.charAt(this.#at);
      if (char === quote && this.#isEnd(isKey)) break;
      if (char === '"') {
        this.#out.push('\\"');
        if (quote === '"') this.faults.add("a quote inside a text");
        this.isUnclear ||= this.#matches(AFTER_KEY, this.#at + 1);
      } else if (char === "\\") this.#escape(quote);
      else if (char < " ") this.#mend(CONTROLS[char] ?? controlEscape(char), "a bare control character");
      else this.#out.push(char);
    }
    this.#at++;
    this.#out.push('"');
  }

  #escape(quote: string): void {
    KNOWN_ESCAPE.lastIndex = this.#at;
    const known = KNOWN_ESCAPE.exec(this.#text)?.[0];
    if (known !== undefined) this.#out.push(known);
    else if (quote === "'" && this.#text.charAt(this.#at + 1) === "'") this.#out.push("'");
    else {
      this.#mend("\\\\", "an unknown escape");
      return;
    }
    this.#at += (known?.length ?? 2) - 1;
  }

  /** Whether the quote here ends its text, as what follows shows. */
  #isEnd(isKey: boolean): boolean {
    const after = this.#at + 1;
    if (isKey) return true;
    if (!this.#matches(AFTER_TEXT, after)) return false;
    if (this.#open.at(-1) !== "{") return true;
    return !this.#matches(/\s*,/y, after) || this.#matches(NEXT_MEMBER, after);
  }
}

function controlEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
