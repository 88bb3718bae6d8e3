import { UNIT } from "../../../../core/text/decimal.ts";
import { Refusal } from "../errors.ts";
import { isEnvelopeMember, type Path, type Segment } from "../event.ts";
import { LIMITS } from "../limits.ts";
import { isRefusedName, type TokenList } from "./tokens.ts";
import { ITEM } from "./tree.ts";

interface PathReading {
  readonly path: Path;
  /** The path begins with `item` instead of `event`. */
  readonly isOfItem: boolean;
  /** Index of the first token after the path. */
  readonly next: number;
}

/**
 * First names of the paths of an expression that reads no event; their values are the members of
 * the payload.
 */
export type NameSet = ReadonlySet<string>;

/**
 * Reads `event`, or `item` where a list is searched, and any number of `.name` and `[key]`.
 * @param hasItem whether `item` is bound here. @param names allowed in place of `event`
 * @throws Refusal UNKNOWN_NAME for another name, UNSAFE_NAME, LIMIT past 16 segments, SYNTAX for an
 * invalid key.
 */
export function readPath(tokens: TokenList, index: number, hasItem = false, names?: NameSet): PathReading {
  const isOfItem = isItem(tokens, index) && (hasItem || names === undefined);
  const root = checkRoot(tokens, index, hasItem, names);
  const segments: Segment[] = [];
  let next = index + 1;
  for (;;) {
    const isMember = tokens.isSymbol(next, ".");
    if (!isMember && !tokens.isSymbol(next, "[")) break;

    const segment = isMember ? readMember(tokens, next + 1) : readKey(tokens, next + 1);
    if (segments.length === LIMITS.pathSegments) {
      throw new Refusal("LIMIT", tokens.at(next + 1).start, `a path has at most ${LIMITS.pathSegments} segments`);
    }
    segments.push(segment);
    next += isMember ? 2 : 3;
  }
  if (isOfItem) return { path: segments, isOfItem, next };
  return { path: root === "event" ? canonical(segments) : ["payload", root, ...segments], isOfItem, next };
}

/** A canonical name of a path: equal for equal paths only. */
export function pathKey(path: Path): string {
  return JSON.stringify(path);
}

function canonical(segments: readonly Segment[]): Path {
  const [first] = segments;
  return first === undefined || isEnvelopeMember(first) ? segments : ["payload", ...segments];
}

function isItem(tokens: TokenList, index: number): boolean {
  const token = tokens.at(index);
  return token.kind === "name" && token.name === ITEM;
}

/** @returns the name */
function checkRoot(tokens: TokenList, index: number, hasItem: boolean, names: NameSet | undefined): string {
  const token = tokens.at(index);
  if (token.kind !== "name") {
    const allowed = names ? [...names] : ["event"];
    const message = `a path must begin with ${allowed.join(", ")}, not with ${tokens.quote(index)}`;
    throw new Refusal("SYNTAX", token.start, message, allowed);
  }
  if (hasItem && token.name === ITEM) return token.name;
  if (names?.has(token.name) ?? token.name === "event") return token.name;
  if (names) throw unknownName(tokens, index, names);
  if (token.name === ITEM) {
    const message = "item is the element in the second argument of any, all and count; write event.item for a member";
    throw new Refusal("UNKNOWN_NAME", token.start, message, ["event"]);
  }
  refuseUnsafe(token.name, token.start);
  const dashed = dashedName(tokens, index);
  if (dashed !== undefined) {
    throw new Refusal("UNKNOWN_NAME", token.start, `put names with - in brackets; write ${dashed}`, ["event"]);
  }
  const hint = /^(and|or|not|in|true|false|null)$/i.test(token.name)
    ? `keywords are lower-case: ${token.name.toLowerCase()}`
    : `write event.${tokens.quote(index)} to read it from the event`;
  throw new Refusal("UNKNOWN_NAME", token.start, `unknown name ${tokens.quote(index)}; ${hint}`, ["event"]);
}

function unknownName(tokens: TokenList, index: number, names: NameSet): Refusal {
  const known = [...names];
  const message = `unknown name ${tokens.quote(index)}; known are ${known.join(", ")}`;
  return new Refusal("UNKNOWN_NAME", tokens.at(index).start, message, known);
}

function readMember(tokens: TokenList, index: number): Segment {
  const token = tokens.at(index);
  if (token.kind === "name") {
    refuseUnsafe(token.name, token.start);
    return token.name;
  }
  const isKeyword = token.kind === "symbol" && /^[a-z]+$/.test(token.symbol);
  const message = isKeyword
    ? `${token.symbol} is a keyword; write ["${token.symbol}"] to read a member of that name`
    : `a member name must follow the dot, not ${tokens.quote(index)}`;
  throw new Refusal("SYNTAX", token.start, message, ["name"]);
}

function readKey(tokens: TokenList, index: number): Segment {
  const token = tokens.at(index);
  if (token.kind !== "string" && !(token.kind === "number" && token.isInteger)) {
    throw new Refusal("SYNTAX", token.start, "only a string or a whole number is allowed in these brackets", [
      "string",
      "integer",
    ]);
  }
  if (token.kind === "string") refuseUnsafe(token.value, token.start);
  if (!tokens.isSymbol(index + 1, "]")) {
    throw new Refusal("SYNTAX", tokens.at(index + 1).start, "this key is not closed by ]", ["]"]);
  }
  return typeof token.value === "bigint" ? Number(token.value / UNIT) : token.value;
}

function refuseUnsafe(name: string, position: number): void {
  if (isRefusedName(name)) throw new Refusal("UNSAFE_NAME", position, `the name ${name} is refused everywhere`);
}

/** A member name followed by dashes and names without spaces. */
const DASHED = /\.([A-Za-z_$][A-Za-z0-9_$]*(?:-[A-Za-z0-9_$]+)+)/g;

/** @returns `["content-type"]` if token `index` is in `event.content-type`, or undefined */
export function dashedName(tokens: TokenList, index: number): string | undefined {
  if (!tokens.isSymbol(index - 1, "-")) return undefined;
  const { start } = tokens.at(index);
  for (const match of tokens.source.matchAll(DASHED)) {
    if (match.index < start && start < match.index + match[0].length) return `["${match[1]}"]`;
  }
  return undefined;
}
