import type { Work } from "../../../../core/caller.ts";
import { NtfyError } from "../errors.ts";
import { failed, MAX_MS, MAX_TEXT, requireBounded, tooLong } from "./bounds.ts";
import { entriesOf, isTruthy, memberOf, shown } from "./functions.ts";
import { type Pipe, parseNodes, type TemplateNode, type TemplateOperand } from "./parser.ts";
import { TEMPLATE_FUNCTIONS } from "./sprig.ts";

/**
 * The part of Go's `text/template` that webhooks need: fields, `range`, `if`, `with`, variables,
 * pipes and some functions of Go and Sprig. Texts of users: bounded in steps, output and depth,
 * and nothing of JavaScript is reachable, because only own members of JSON values are read.
 */
export interface GoTemplate {
  /** @param charge is called with what it took, also when it fails. @throws NtfyError 40045 */
  render(data: unknown, charge?: (work: Work) => void): string;
}

const MAX_LENGTH = 16_384;
const MAX_STEPS = 20_000;
/** In steps of a rule: half a microsecond. */
const COST_OF_STEP = 40;

/** @throws NtfyError 40043, 40044 */
export function parseTemplate(text: string): GoTemplate {
  if (text.length > MAX_LENGTH) throw new NtfyError(40043, "the template is too long");
  const nodes = parseNodes(text);
  return {
    render(data, charge) {
      const run = new Run(data);
      try {
        return run.render(nodes);
      } finally {
        charge?.(run.work);
      }
    },
  };
}

/** One rendering. */
class Run {
  readonly #root: unknown;
  readonly #endsAt = performance.now() + MAX_MS;
  #steps = 0;
  #length = 0;
  /** Characters that functions have read. */
  #read = 0;

  constructor(data: unknown) {
    this.#root = data;
  }

  get work(): Work {
    return { steps: COST_OF_STEP * this.#steps, bytes: this.#length + this.#read };
  }

  render(nodes: readonly TemplateNode[]): string {
    const parts: string[] = [];
    this.#nodes(nodes, { dot: this.#root, outer: null, variables: new Map([["", this.#root]]) }, parts);
    return parts.join("");
  }

  #nodes(nodes: readonly TemplateNode[], scope: Scope, parts: string[]): void {
    for (const node of nodes) this.#node(node, scope, parts);
  }

  #node(node: TemplateNode, scope: Scope, parts: string[]): void {
    this.#step();
    switch (node.kind) {
      case "text":
        return this.#put(node.text, parts);
      case "print":
        return this.#print(this.#pipe(node.pipe, scope), parts);
      case "set":
        declare(scope, node.name, this.#pipe(node.pipe, scope));
        return;
      case "range":
        return this.#range(node, scope, parts);
      default:
        return this.#branches(node, scope, parts);
    }
  }

  #branches(
    { kind, branches, otherwise }: Extract<TemplateNode, { kind: "if" | "with" }>,
    scope: Scope,
    parts: string[],
  ): void {
    for (const { pipe, body } of branches) {
      const value = this.#pipe(pipe, scope);
      if (!isTruthy(value)) continue;
      this.#nodes(body, inner(scope, kind === "with" ? value : scope.dot), parts);
      return;
    }
    this.#nodes(otherwise, inner(scope, scope.dot), parts);
  }

  #range(node: Extract<TemplateNode, { kind: "range" }>, scope: Scope, parts: string[]): void {
    const entries = entriesOf(this.#pipe(node.pipe, scope));
    if (entries.length === 0) return this.#nodes(node.otherwise, inner(scope, scope.dot), parts);
    for (const [key, value] of entries) {
      this.#step();
      const each = inner(scope, value);
      const [first, second] = node.names;
      if (first !== undefined) declare(each, first, second === undefined ? value : key);
      if (second !== undefined) declare(each, second, value);
      this.#nodes(node.body, each, parts);
    }
  }

  #pipe(pipe: Pipe, scope: Scope): unknown {
    let result: unknown;
    for (const [at, command] of pipe.entries()) {
      this.#step();
      const [first, ...rest] = command;
      if (first?.kind === "call") {
        const given = (): unknown[] => [
          ...rest.map((operand) => this.#operand(operand, scope)),
          ...(at > 0 ? [result] : []),
        ];
        result = this.#call(first.name, given, rest, scope);
      } else if (first && rest.length === 0 && at === 0) result = this.#operand(first, scope);
      else throw failed("can't give argument to non-function");
    }
    return result;
  }

  #call(name: string, given: () => unknown[], rest: readonly TemplateOperand[], scope: Scope): unknown {
    if (name === "and" || name === "or") {
      // Go stops at the value that decides.
      let value: unknown = null;
      for (const operand of rest) {
        value = this.#operand(operand, scope);
        if (isTruthy(value) === (name === "or")) return value;
      }
      return rest.length > 0 ? (given().at(-1) ?? value) : given().at(-1);
    }
    const call = TEMPLATE_FUNCTIONS.get(name);
    if (!call) throw failed(`no function ${name}`);
    const values = given();
    for (const value of values) if (typeof value === "string") this.#read += value.length;
    requireBounded(values);
    const result = call(...values);
    requireBounded([result]);
    if (typeof result === "string") this.#count(result.length);
    return result;
  }

  #operand(operand: TemplateOperand, scope: Scope): unknown {
    this.#step();
    if (operand.kind === "value") return operand.value;
    if (operand.kind === "call") return this.#call(operand.name, () => [], [], scope);
    const { base, path } = operand;
    let value =
      base === "dot" ? scope.dot : "variable" in base ? variableOf(scope, base.variable) : this.#pipe(base, scope);
    for (const name of path) value = memberOf(value, name);
    return value;
  }

  #print(value: unknown, parts: string[]): void {
    requireBounded([value]);
    this.#put(shown(value), parts);
  }

  #put(text: string, parts: string[]): void {
    this.#count(text.length);
    parts.push(text);
  }

  #count(length: number): void {
    this.#length += length;
    if (this.#length > MAX_TEXT) throw tooLong();
  }

  #step(): void {
    if (++this.#steps > MAX_STEPS || performance.now() > this.#endsAt) throw failed("the template takes too long");
  }
}

interface Scope {
  readonly dot: unknown;
  readonly outer: Scope | null;
  /** Its own; null: none yet. */
  variables: Map<string, unknown> | null;
}

function inner(outer: Scope, dot: unknown): Scope {
  return { dot, outer, variables: null };
}

function declare(scope: Scope, name: string, value: unknown): void {
  scope.variables ??= new Map();
  scope.variables.set(name, value);
}

function variableOf(scope: Scope, name: string): unknown {
  for (let each: Scope | null = scope; each !== null; each = each.outer)
    if (each.variables?.has(name)) return each.variables.get(name);
  return undefined;
}
