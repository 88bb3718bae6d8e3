import { NtfyError } from "./errors.ts";
import { randomText } from "./ids.ts";

/** An action button of a message, with the members in ntfy's order. */
export interface ActionButton {
  readonly id: string;
  readonly action: string;
  readonly label: string;
  readonly clear: boolean;
  readonly url?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly intent?: string;
  readonly extras?: Readonly<Record<string, string>>;
  readonly value?: string;
}

const MAX_ACTIONS = 3;
const ID_LENGTH = 10;
const KINDS = ["view", "broadcast", "http", "copy"] as const;
const TEXT_KEYS = ["url", "method", "body", "intent", "value"] as const;

/** Parameters as the client gave them; texts, but for maps and `clear`. */
type Given = Record<string, unknown>;

/**
 * Actions as JSON, if the text begins with `[`, or in the short form `action, label, url, key=value;
 * …` (docs/ntfy.md). @throws NtfyError 40018
 */
export function parseActions(text: string): ActionButton[] {
  const trimmed = text.trim();
  if (trimmed === "") return [];
  return checkActions(trimmed.startsWith("[") ? jsonOf(trimmed) : new ShortActions(trimmed).read());
}

/** @throws NtfyError 40018 */
export function checkActions(given: unknown): ActionButton[] {
  if (!Array.isArray(given)) throw invalid("must be a list");
  if (given.length > MAX_ACTIONS) throw invalid(`only ${MAX_ACTIONS} actions allowed`);
  return given.map(checkAction);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw invalid("JSON error: the text is not a JSON array");
  }
}

function checkAction(given: unknown): ActionButton {
  if (typeof given !== "object" || given === null) throw invalid("an action must be an object");
  const values = given as Given;
  const action = textOf(values, "action").toLowerCase();
  const label = textOf(values, "label");
  if (!KINDS.some((kind) => kind === action))
    throw invalid(`parameter 'action' cannot be '${action}', valid values are 'view', 'broadcast', 'http' and 'copy'`);
  if (label === "") throw invalid("parameter 'label' is required");
  const texts = Object.fromEntries(
    TEXT_KEYS.map((key) => [key, textOf(values, key)] as const).filter(([, text]) => text !== ""),
  );
  const { url = "", method = "", body = "", value = "" } = texts;
  if ((action === "view" || action === "http") && url === "")
    throw invalid(`parameter 'url' is required for action '${action}'`);
  if (action === "copy" && value === "") throw invalid("parameter 'value' is required for action 'copy'");
  const upper = method.toUpperCase();
  if (action === "http" && (upper === "GET" || upper === "HEAD") && body !== "")
    throw invalid(`parameter 'body' cannot be set if method is ${upper}`);
  const [headers, extras] = [mapOf(values, "headers"), mapOf(values, "extras")];
  return {
    id: randomText(ID_LENGTH),
    action,
    label,
    clear: clearOf(values["clear"]),
    ...(url !== "" && { url }),
    ...(upper !== "" && { method: upper }),
    ...(headers && { headers }),
    ...(body !== "" && { body }),
    ...(texts["intent"] && { intent: texts["intent"] }),
    ...(extras && { extras }),
    ...(value !== "" && { value }),
  };
}

function textOf(values: Given, key: string): string {
  const value = values[key];
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw invalid(`parameter '${key}' must be a text`);
  return value;
}

function clearOf(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return false;
  if (value === true) return true;
  if (typeof value === "string" && /^(?:true|yes|1)$/i.test(value)) return true;
  if (typeof value === "string" && /^(?:false|no|0)$/i.test(value)) return false;
  throw invalid(
    `parameter 'clear' cannot be '${String(value)}', only boolean values are allowed (true/yes/1/false/no/0)`,
  );
}

function mapOf(values: Given, key: string): Readonly<Record<string, string>> | undefined {
  const value = values[key];
  if (value === undefined || value === null) return undefined;
  const entries = typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [["", null]];
  if (entries.some(([, each]) => typeof each !== "string")) throw invalid(`parameter '${key}' must be a map of texts`);
  return Object.fromEntries(entries) as Record<string, string>;
}

const POSITIONS = ["action", "label", "url"] as const;

/** Reads the short form character by character; quoted values may contain all separators. */
class ShortActions {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Given[] {
    const actions: Given[] = [];
    while (this.#skipSpace() < this.#text.length) {
      actions.push(this.#action());
      if (actions.length > MAX_ACTIONS) throw invalid(`only ${MAX_ACTIONS} actions allowed`);
    }
    return actions;
  }

  #action(): Given {
    const action: Given = {};
    for (let position = 0; ; position++) {
      this.#part(action, position);
      const end = this.#text[this.#at++];
      if (end === undefined || end === ";") return action;
    }
  }

  #part(action: Given, position: number): void {
    this.#skipSpace();
    const key = this.#key();
    const value = this.#value();
    if (key !== undefined) this.#set(action, key, value);
    else {
      const name =
        position < 2 || (position === 2 && /^(?:view|http)$/i.test(String(action["action"])))
          ? POSITIONS[position]
          : undefined;
      if (name !== undefined) action[name] = value;
      else if (value !== "") throw invalid(`term '${value}' unknown`);
    }
  }

  /** The key of `key=value`; undefined for a bare value. */
  #key(): string | undefined {
    const match = /^([-.\w]+)\s*=\s*/.exec(this.#text.slice(this.#at, this.#at + MAX_KEY_LENGTH));
    if (!match) return undefined;
    this.#at += match[0].length;
    return match[1];
  }

  #set(action: Given, key: string, value: string): void {
    const [, map, name] = /^(headers|extras)\.(.+)$/.exec(key) ?? [];
    if (map !== undefined && name !== undefined)
      action[map] = { ...(action[map] as object | undefined), [name]: value };
    else if (["action", "label", "clear", ...TEXT_KEYS].includes(key.toLowerCase())) action[key.toLowerCase()] = value;
    else throw invalid(`key '${key}' unknown`);
  }

  #value(): string {
    const quote = this.#text[this.#at];
    if (quote === '"' || quote === "'") return this.#quoted(quote);
    const from = this.#at;
    while (this.#at < this.#text.length && !/[,;]/.test(this.#text[this.#at] as string)) this.#at++;
    return this.#text.slice(from, this.#at).trim();
  }

  #quoted(quote: string): string {
    let value = "";
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const letter = this.#text[this.#at] as string;
      if (letter === "\\" && this.#text[this.#at + 1] === quote) value += this.#text[++this.#at];
      else if (letter !== quote) value += letter;
      else {
        this.#at++;
        const end = this.#text[this.#skipSpace()];
        if (end === undefined || end === "," || end === ";") return value;
        throw invalid(`unexpected character '${end}' at position ${this.#at}`);
      }
    }
    throw invalid("unexpected end of input, quote started but not closed");
  }

  #skipSpace(): number {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
    return this.#at;
  }
}

/** Longer keys are unknown in any case. */
const MAX_KEY_LENGTH = 300;

function invalid(detail: string): NtfyError {
  return new NtfyError(40018, detail);
}
