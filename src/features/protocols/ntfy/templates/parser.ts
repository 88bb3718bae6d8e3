import { NtfyError } from "../errors.ts";
import { TEMPLATE_FUNCTIONS } from "./sprig.ts";

/** A part of a parsed template. */
export type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipe: Pipe }
  | { readonly kind: "set"; readonly name: string; readonly pipe: Pipe }
  | { readonly kind: "if" | "with"; readonly branches: readonly Branch[]; readonly otherwise: readonly TemplateNode[] }
  | {
      readonly kind: "range";
      readonly names: readonly string[];
      readonly pipe: Pipe;
      readonly body: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    };

interface Branch {
  readonly pipe: Pipe;
  readonly body: readonly TemplateNode[];
}

/** Commands, each with the result of the one before as its last argument. */
export type Pipe = readonly (readonly TemplateOperand[])[];

export type TemplateOperand =
  | { readonly kind: "value"; readonly value: unknown }
  | {
      readonly kind: "field";
      readonly base: Pipe | "dot" | { readonly variable: string };
      readonly path: readonly string[];
    }
  | { readonly kind: "call"; readonly name: string };

const TOKEN =
  /\s*(?:("(?:\\.|[^"\\])*"|`[^`]*`)|(-?\d+(?:\.\d+)?)|(\$\w*)|((?:\.\w[\w]*)+|\.)|(\w+)|(:=|=|\||\(|\)|,))/y;

const MAX_DEPTH = 50;
const REFUSED = new Set(["call", "template", "define", "block"]);

/** @throws NtfyError 40043, 40044 */
export function parseNodes(text: string): TemplateNode[] {
  return new Parser(text).read();
}

/** Splits a text into nodes. */
class Parser {
  readonly #parts: { readonly text?: string; readonly action?: string }[] = [];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    let rest = text;
    let trims = false;
    for (let start = rest.indexOf("{{"); start >= 0; start = rest.indexOf("{{")) {
      const end = endOfAction(rest, start + 2);
      const action = rest.slice(start + 2, end);
      const before = /^-\s/.test(action) ? rest.slice(0, start).trimEnd() : rest.slice(0, start);
      this.#parts.push({ text: trims ? before.trimStart() : before });
      trims = /\s-$/.test(action);
      const trimmed = action.replace(/^-(?=\s)|(?<=\s)-$/g, "").trim();
      if (!trimmed.startsWith("/*")) this.#parts.push({ action: trimmed });
      rest = rest.slice(end + 2);
    }
    this.#parts.push({ text: trims ? rest.trimStart() : rest });
  }

  read(): TemplateNode[] {
    const nodes = this.#nodes([]);
    if (this.#at < this.#parts.length) throw unparsable("unexpected {{end}}");
    return nodes;
  }

  /** Reads nodes up to an action of `ends`, which is not taken. */
  #nodes(ends: readonly string[]): TemplateNode[] {
    if (++this.#depth > MAX_DEPTH) throw unparsable("nested too deeply");
    const nodes: TemplateNode[] = [];
    for (; this.#at < this.#parts.length; ) {
      const { text, action = "" } = this.#parts[this.#at] as { text?: string; action?: string };
      if (text === undefined && ends.includes(/^\w*/.exec(action)?.[0] ?? "")) break;
      this.#at++;
      if (text !== undefined) {
        if (text !== "") nodes.push({ kind: "text", text });
      } else nodes.push(this.#action(action));
    }
    this.#depth--;
    return nodes;
  }

  #action(action: string): TemplateNode {
    const [, word = "", rest = ""] = /^(\w+)\b\s*([\s\S]*)$/.exec(action) ?? [];
    if (REFUSED.has(word)) throw new NtfyError(40044);
    if (word === "if" || word === "with") return this.#condition(word, rest);
    if (word === "range") return this.#range(rest);
    if (word === "end" || word === "else" || word === "break" || word === "continue")
      throw unparsable(`unexpected {{${word}}}`);
    const [, name, expression] = /^\$(\w+)\s*:?=\s*([\s\S]+)$/.exec(action) ?? [];
    if (name !== undefined && expression !== undefined) return { kind: "set", name, pipe: pipeOf(expression) };
    return { kind: "print", pipe: pipeOf(action) };
  }

  #condition(kind: "if" | "with", expression: string): TemplateNode {
    const branches: Branch[] = [{ pipe: pipeOf(expression), body: this.#nodes(["else", "end"]) }];
    for (;;) {
      const action = this.#take();
      if (action === "end") return { kind, branches, otherwise: [] };
      const [, , next] = /^else\s+(if|with)\s+([\s\S]+)$/.exec(action) ?? [];
      if (next === undefined) {
        const otherwise = this.#nodes(["end"]);
        this.#take();
        return { kind, branches, otherwise };
      }
      branches.push({ pipe: pipeOf(next), body: this.#nodes(["else", "end"]) });
    }
  }

  #range(expression: string): TemplateNode {
    const [, names, source] = /^((?:\$\w+\s*,\s*)?\$\w+)\s*:=\s*([\s\S]+)$/.exec(expression) ?? [];
    const pipe = pipeOf(source ?? expression);
    const body = this.#nodes(["else", "end"]);
    const hasElse = this.#take() !== "end";
    const otherwise = hasElse ? this.#nodes(["end"]) : [];
    if (hasElse) this.#take();
    return {
      kind: "range",
      names: (names ?? "")
        .split(",")
        .map((name) => name.trim().slice(1))
        .filter((name) => name !== ""),
      pipe,
      body,
      otherwise,
    };
  }

  #take(): string {
    const action = this.#parts[this.#at++]?.action;
    if (action === undefined) throw unparsable("unexpected end of the template");
    return action;
  }
}

/** Where the closing braces are, outside of texts. @throws NtfyError 40043 */
function endOfAction(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const letter = text[at];
    if (letter === "}" && text[at + 1] === "}") return at;
    if (letter !== '"' && letter !== "`") continue;
    for (at++; at < text.length && text[at] !== letter; at++) if (letter === '"' && text[at] === "\\") at++;
  }
  throw unparsable("unclosed action");
}

/** @throws NtfyError 40043, 40044 */
function pipeOf(text: string): Pipe {
  const tokens = tokensOf(text);
  let at = 0;
  const pipe = (depth: number): Pipe => {
    if (depth > MAX_DEPTH) throw unparsable("nested too deeply");
    const commands: TemplateOperand[][] = [[]];
    for (; at < tokens.length && tokens[at] !== ")"; at++) {
      const token = tokens[at] as string;
      const command = commands.at(-1) as TemplateOperand[];
      if (token === "|") commands.push([]);
      else if (token === "(") {
        at++;
        const base = pipe(depth + 1);
        if (tokens[at] !== ")") throw unparsable("unclosed parenthesis");
        const path = tokens[at + 1]?.startsWith(".") && tokens[at + 1] !== "." ? pathOf(tokens[++at] as string) : [];
        command.push({ kind: "field", base, path });
      } else {
        const next = token.startsWith("$") && tokens[at + 1]?.startsWith(".") ? (tokens[++at] as string) : undefined;
        command.push(operandOf(token, next));
      }
    }
    if (commands.some((command) => command.length === 0)) throw unparsable("missing value for command");
    return commands;
  };
  const found = pipe(0);
  if (at < tokens.length) throw unparsable("unexpected parenthesis");
  return found;
}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  const source = text.trim();
  for (let at = 0; at < source.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (!match) throw unparsable(`unexpected ${JSON.stringify(source.charAt(at))}`);
    tokens.push(match[0].trim());
  }
  return tokens;
}

function operandOf(token: string, path: string | undefined): TemplateOperand {
  if (token.startsWith("$"))
    return { kind: "field", base: { variable: token.slice(1) }, path: path === undefined ? [] : pathOf(path) };
  if (token.startsWith(".")) return { kind: "field", base: "dot", path: pathOf(token) };
  if (token.startsWith('"')) return { kind: "value", value: quoted(token) };
  if (token.startsWith("`")) return { kind: "value", value: token.slice(1, -1) };
  if (/^-?\d/.test(token)) return { kind: "value", value: Number(token) };
  if (Object.hasOwn(CONSTANTS, token)) return { kind: "value", value: CONSTANTS[token as keyof typeof CONSTANTS] };
  if (REFUSED.has(token)) throw new NtfyError(40044);
  if (!/^\w+$/.test(token)) throw unparsable(`unexpected ${JSON.stringify(token)}`);
  if (token !== "and" && token !== "or" && !TEMPLATE_FUNCTIONS.has(token))
    throw unparsable(`function "${token}" not defined`);
  return { kind: "call", name: token };
}

const CONSTANTS = { true: true, false: false, nil: null } as const;

function quoted(token: string): string {
  try {
    return JSON.parse(token.replace(/\\'/g, "'")) as string;
  } catch {
    throw unparsable(`invalid text ${token}`);
  }
}

function pathOf(token: string): string[] {
  return token.split(".").filter((name) => name !== "");
}

function unparsable(detail: string): NtfyError {
  return new NtfyError(40043, detail);
}
