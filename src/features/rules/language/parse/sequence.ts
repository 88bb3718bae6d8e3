import { nearestName } from "../../../../config/nearest.ts";
import { Refusal } from "../errors.ts";
import type { Path } from "../event.ts";
import { LIMITS } from "../limits.ts";
import { dashedName, type NameSet, readPath } from "./path.ts";
import { isRefusedName, type SymbolName, type TokenList } from "./tokens.ts";
import { FUNCTION_NAMES, ITEM, isFunctionName, isQuantifier, type Literal, OTHER_NAMES, signatureOf } from "./tree.ts";

/** An operand without an expression inside. `last` is the index of its last token. */
export type Operand = { readonly last: number } & (
  | { readonly kind: "path" | "item"; readonly path: Path }
  | { readonly kind: "literal"; readonly value: Literal }
  | { readonly kind: "emptyList" }
);

/** A checked order of tokens: input of the precedence parser and of the tree. */
export interface OperandSequence {
  /** The condition with each operand and function name as `t` and its first token's index. */
  readonly spelling: string;
  /** By index of the first token. */
  readonly operands: ReadonlyMap<number, Operand>;
  /** Index of the closing bracket by that of the function name, list bracket or group bracket. */
  readonly closings: ReadonlyMap<number, number>;
  /** Indexes of parentheses that only group. */
  readonly groups: ReadonlySet<number>;
}

interface Frame {
  readonly kind: "condition" | "group" | "call" | "list";
  /** Index of the token the closing bracket belongs to in `closings`. */
  readonly opener: number;
  items: number;
  readonly mostItems: number;
  /** Number of `?` without their `:` yet. */
  choices: number;
  /** A call that binds `item` in its second argument. */
  readonly isQuantifier: boolean;
}

const CLOSING: Readonly<Record<Frame["kind"], SymbolName | "end">> = {
  condition: "end",
  group: ")",
  call: ")",
  list: "]",
};

export const BINARY: ReadonlySet<SymbolName> = new Set<SymbolName>([
  ...(["and", "or", "in", "==", "!=", "<", "<=", ">", ">="] as const),
  ...(["+", "-", "*", "/", "%"] as const),
]);

/**
 * Checks that operands and operators alternate, that brackets and `?:` close, that names are known,
 * and the limits that can be counted from left to right. The parser alone would accept two operands
 * in a row, read a lone `not` as a variable, and report other errors without position and
 * expectation.
 * @throws Refusal at the first invalid token.
 */
export function checkSequence(tokens: TokenList, names?: NameSet): OperandSequence {
  return new SequenceReader(tokens, names).read();
}

class SequenceReader {
  readonly #tokens: TokenList;
  readonly #names: NameSet | undefined;
  readonly #operands = new Map<number, Operand>();
  readonly #closings = new Map<number, number>();
  readonly #groups = new Set<number>();
  readonly #words: string[] = [];
  readonly #frames: Frame[] = [];
  #frame: Frame = { kind: "condition", opener: -1, items: 1, mostItems: 1, choices: 0, isQuantifier: false };
  #index = 0;
  #nodes = 0;

  constructor(tokens: TokenList, names: NameSet | undefined) {
    this.#tokens = tokens;
    this.#names = names;
  }

  read(): OperandSequence {
    let wantsOperand = true;
    while (wantsOperand || this.#tokens.at(this.#index).kind !== "end") {
      wantsOperand = wantsOperand ? this.#readOperand() : this.#readOperator();
    }
    if (this.#frame.kind !== "condition" || this.#frame.choices > 0) throw this.#unexpected();
    return {
      spelling: this.#words.join(" "),
      operands: this.#operands,
      closings: this.#closings,
      groups: this.#groups,
    };
  }

  /** @returns whether an operand is still expected. */
  #readOperand(): boolean {
    const index = this.#index;
    const token = this.#tokens.at(index);
    switch (token.kind) {
      case "number":
      case "string":
        return this.#addOperand({ kind: "literal", value: token.value, last: index });
      case "name":
        return this.#tokens.isSymbol(index + 1, "(") && token.name !== "event" && token.name !== ITEM
          ? this.#openCall(token.name)
          : this.#addPath();
      case "symbol":
        return this.#readOperandSymbol(token.symbol);
      case "end":
        throw missingOperand(this.#tokens, this.#index);
    }
  }

  #readOperandSymbol(symbol: SymbolName): boolean {
    const index = this.#index;
    switch (symbol) {
      case "true":
      case "false":
        return this.#addOperand({ kind: "literal", value: symbol === "true", last: index });
      case "null":
        return this.#addOperand({ kind: "literal", value: null, last: index });
      case "-":
      case "not":
        this.#countNode();
        this.#take(symbol);
        return true;
      case "(":
        this.#groups.add(index);
        this.#open("group", index);
        this.#take("(");
        return true;
      case "[":
        if (this.#tokens.isSymbol(index + 1, "]")) return this.#addOperand({ kind: "emptyList", last: index + 1 });
        this.#countNode();
        this.#open("list", index);
        this.#take("[");
        return true;
      default:
        throw missingOperand(this.#tokens, this.#index);
    }
  }

  #addPath(): boolean {
    const { path, isOfItem, next } = readPath(this.#tokens, this.#index, this.#hasItem(), this.#names);
    return this.#addOperand({ kind: isOfItem ? "item" : "path", path, last: next - 1 });
  }

  #hasItem(): boolean {
    return [this.#frame, ...this.#frames].some(({ isQuantifier, items }) => isQuantifier && items > 1);
  }

  #addOperand(operand: Operand): boolean {
    this.#countNode();
    this.#operands.set(this.#index, operand);
    this.#words.push(`t${this.#index}`);
    this.#index = operand.last + 1;
    return false;
  }

  #openCall(name: string): boolean {
    const index = this.#index;
    const { start } = this.#tokens.at(index);
    if (isRefusedName(name)) throw new Refusal("UNSAFE_NAME", start, `the name ${name} is refused everywhere`);
    if (!isFunctionName(name)) {
      throw new Refusal("UNKNOWN_NAME", start, unknownFunction(name, this.#tokens.quote(index)), [...FUNCTION_NAMES]);
    }
    this.#countNode();
    this.#take(`t${index}`);
    const mostItems = Math.max(LIMITS.arguments, signatureOf(name).max);
    this.#open("call", index, { mostItems, isQuantifier: isQuantifier(name) });
    this.#take("(");
    if (!this.#tokens.isSymbol(this.#index, ")")) return true;
    this.#close();
    return false;
  }

  /** @returns whether an operand is expected next. */
  #readOperator(): boolean {
    const token = this.#tokens.at(this.#index);
    if (token.kind !== "symbol") throw this.#unexpected();
    const { symbol } = token;
    const frame = this.#frame;

    if (BINARY.has(symbol)) {
      this.#countNode();
    } else if (symbol === "?") {
      this.#countNode();
      frame.choices += 1;
    } else if (symbol === ":" && frame.choices > 0) {
      frame.choices -= 1;
    } else if (symbol === "," && (frame.kind === "call" || frame.kind === "list") && frame.choices === 0) {
      this.#nextItem(frame);
    } else if (symbol === CLOSING[frame.kind] && frame.choices === 0) {
      this.#close();
      return false;
    } else {
      throw this.#unexpected();
    }
    this.#take(symbol);
    return true;
  }

  #take(word: string): void {
    this.#words.push(word);
    this.#index += 1;
  }

  #countNode(): void {
    this.#nodes += 1;
    if (this.#nodes > LIMITS.nodes) {
      throw new Refusal("LIMIT", this.#position(), `a condition has at most ${LIMITS.nodes} nodes`);
    }
  }

  #open(kind: Frame["kind"], opener: number, call: Partial<Pick<Frame, "mostItems" | "isQuantifier">> = {}): void {
    if (this.#frames.length === LIMITS.depth) {
      throw new Refusal("LIMIT", this.#position(), `brackets nest at most ${LIMITS.depth} deep`);
    }
    this.#frames.push(this.#frame);
    this.#frame = { kind, opener, items: 1, mostItems: LIMITS.listElements, choices: 0, isQuantifier: false, ...call };
  }

  #close(): void {
    this.#closings.set(this.#frame.opener, this.#index);
    this.#take(this.#frame.kind === "list" ? "]" : ")");
    this.#frame = this.#frames.pop() ?? this.#frame;
  }

  /** Counts the item after a comma. */
  #nextItem(frame: Frame): void {
    frame.items += 1;
    const most = frame.mostItems;
    if (frame.items > most) {
      const message =
        frame.kind === "list" ? `a list has at most ${most} elements` : `a call has at most ${most} arguments`;
      throw new Refusal("LIMIT", this.#tokens.at(this.#index + 1).start, message);
    }
  }

  #unexpected(): Refusal {
    return unexpectedAfterOperand(this.#tokens, this.#index, expectedIn(this.#frame));
  }

  #position(): number {
    return this.#tokens.at(this.#index).start;
  }
}

const SHORT_NAME = 4;

function unknownFunction(name: string, quoted: string): string {
  // Two edits turn any short name into any other.
  const similar = name.length < SHORT_NAME ? undefined : nearestName(name, FUNCTION_NAMES);
  const nearest = OTHER_NAMES.get(name.toLowerCase()) ?? similar;
  return `there is no function ${quoted}${nearest === undefined ? "" : `; write ${nearest}`}`;
}

function expectedIn({ kind, choices }: Frame): readonly string[] {
  if (choices > 0) return ["operator", ":"];
  const closing = CLOSING[kind];
  return kind === "call" || kind === "list" ? ["operator", ",", closing] : ["operator", closing];
}

function missingOperand(tokens: TokenList, index: number): Refusal {
  const expected = ["expression"];
  const { start } = tokens.at(index);
  if (tokens.isSymbol(index, "+")) return new Refusal("SYNTAX", start, "there is no unary plus", expected);
  if (tokens.isSymbol(index, ".") && tokens.at(index + 1).kind === "number") {
    return new Refusal("SYNTAX", start, `a number begins with a digit; write 0.${tokens.quote(index + 1)}`, expected);
  }
  const dashed = dashedName(tokens, index);
  if (dashed !== undefined) return new Refusal("SYNTAX", start, `put names with - in brackets; write ${dashed}`, ["["]);
  if (tokens.isSymbol(index, ".")) {
    return new Refusal("SYNTAX", start, "a number begins with a digit, a path with event", expected);
  }
  return new Refusal("SYNTAX", start, `an expression is missing before ${tokens.quote(index)}`, expected);
}

function unexpectedAfterOperand(tokens: TokenList, index: number, expected: readonly string[]): Refusal {
  return new Refusal("SYNTAX", tokens.at(index).start, whyUnexpected(tokens, index, expected), expected);
}

/** `parseJson(body.text).labels`; undefined: what has no members is no call or group. */
function memberOfResult(tokens: TokenList, index: number): string | undefined {
  if (!tokens.isSymbol(index - 1, ")")) return undefined;
  const name = tokens.isSymbol(index, ".") ? tokens.at(index + 1) : undefined;
  const member = name?.kind === "name" ? `'${tokens.quote(index + 1)}'` : "'name'";
  return `a result has no members; write at(…, ${member}) for its member`;
}

function whyUnexpected(tokens: TokenList, index: number, expected: readonly string[]): string {
  const token = tokens.at(index);
  const missing = `an operator${expected.includes(",") ? " or a comma" : ""} is missing before ${tokens.quote(index)}`;
  if (token.kind === "end") return "the condition ends too early";
  if (token.kind === "name" && /^(and|or|not|in)$/i.test(token.name)) {
    return `keywords are lower-case: ${token.name.toLowerCase()}`;
  }
  if (token.kind !== "symbol") return missing;
  switch (token.symbol) {
    case "not":
      return tokens.isSymbol(index + 1, "in") ? "write not (x in y)" : missing;
    case "(":
      return "only a function can be called, by its bare name";
    case "[":
    case ".":
      return memberOfResult(tokens, index) ?? "only a path has members, and it begins with event";
    case "|":
      return "write || or or";
    case ":":
      return "this : has no ?";
    case ")":
    case "]":
      return `${tokens.quote(index)} closes nothing that is open here`;
    default:
      return missing;
  }
}
