import { constantOf, type Node, type NodeOf } from "../parse/tree.ts";
import { compileCompare, compileIn } from "./compile-compare.ts";
import { FUNCTIONS, type LanguageFunction } from "./functions.ts";
import { ARITHMETIC } from "./number-functions.ts";
import { compileExists, compilePath, type Read } from "./read-path.ts";
import { isInspected } from "./string-functions.ts";
import type { Value } from "./value.ts";

/** Is told the value of each node that was evaluated, in the order of evaluation; what was short-circuited is not. */
type Observer = (node: Node, value: Value) => void;

/**
 * Compiles a tree to one closure per node. Closures, not `new Function`: they cost 30 ns more per rule, need no code from strings,
 * and run where that is forbidden.
 *
 * The closure throws ConditionTooCostly when one event makes it do more than `evaluationBudget` has left.
 */
export function compileTree(root: Node, observe?: Observer): Read {
  return new Compiler(observe).compile(root);
}

class Compiler {
  readonly #observe: Observer | undefined;

  constructor(observe: Observer | undefined) {
    this.#observe = observe;
  }

  compile(node: Node): Read {
    const evaluate = this.#compileNode(node);
    const observe = this.#observe;
    if (observe === undefined) return evaluate;
    return (event) => {
      const value = evaluate(event);
      observe(node, value);
      return value;
    };
  }

  #compileAll(nodes: readonly Node[]): Read[] {
    return nodes.map((node) => this.compile(node));
  }

  #compileNode(node: Node): Read {
    switch (node.kind) {
      case "literal":
        return constant(node.value);
      case "path":
        return compilePath(node.path);
      case "exists":
        return compileExists(node.path);
      case "list":
        return this.#list(node);
      case "call":
        return this.#call(node);
      case "matches":
        return this.#matches(node);
      case "coalesce":
        return this.#coalesce(node);
      case "choice":
        return this.#choice(node);
      case "not": {
        const operand = this.compile(node.operand);
        return (event) => operand(event) !== true;
      }
      case "negate":
        return this.#negate(node);
      case "arithmetic": {
        const apply = ARITHMETIC[node.operator];
        const left = this.compile(node.left);
        const right = this.compile(node.right);
        return (event) => apply(left(event), right(event));
      }
      case "compare":
        return compileCompare(node, this.compile(node.left), this.compile(node.right));
      case "in":
        return compileIn(node, this.compile(node.left), this.compile(node.right));
      case "and":
        return conjunction(this.#compileAll(node.operands));
      case "or":
        return disjunction(this.#compileAll(node.operands));
    }
  }

  #list(node: NodeOf<"list">): Read {
    const literals = constantOf(node);
    if (literals !== undefined) return constant(literals);
    const items = this.#compileAll(node.items);
    return (event) => items.map((item) => item(event));
  }

  #call({ name, args }: NodeOf<"call">): Read {
    if (name === "now") return (event) => event.receivedAt;
    return bind(FUNCTIONS[name], this.#compileAll(args));
  }

  #matches({ subject, pattern }: NodeOf<"matches">): Read {
    const read = this.compile(subject);
    return (event) => {
      const text = read(event);
      return isInspected(text) && pattern.test(text);
    };
  }

  #coalesce(node: NodeOf<"coalesce">): Read {
    const args = this.#compileAll(node.args);
    return (event) => {
      for (const arg of args) {
        const value = arg(event);
        if (value !== null) return value;
      }
      return null;
    };
  }

  #choice(node: NodeOf<"choice">): Read {
    const condition = this.compile(node.condition);
    const chosen = this.compile(node.chosen);
    const otherwise = this.compile(node.otherwise);
    return (event) => (condition(event) === true ? chosen(event) : otherwise(event));
  }

  #negate(node: NodeOf<"negate">): Read {
    const operand = this.compile(node.operand);
    return (event) => {
      const value = operand(event);
      return typeof value === "number" || typeof value === "bigint" ? -value : null;
    };
  }
}

function constant(value: Value): Read {
  return () => value;
}

function bind(apply: LanguageFunction, args: readonly Read[]): Read {
  const [first, second, third] = args;
  // An array of arguments per call would cost more than most of the functions.
  if (first !== undefined && args.length === 1) return (event) => apply(first(event));
  if (first !== undefined && second !== undefined && third === undefined) {
    return (event) => apply(first(event), second(event));
  }
  return (event) => apply(...args.map((arg) => arg(event)));
}

function conjunction(operands: readonly Read[]): Read {
  const [first, second, third] = operands;
  if (first !== undefined && second !== undefined && operands.length === 2) {
    return (event) => first(event) === true && second(event) === true;
  }
  if (first !== undefined && second !== undefined && third !== undefined && operands.length === 3) {
    return (event) => first(event) === true && second(event) === true && third(event) === true;
  }
  return (event) => {
    for (const operand of operands) if (operand(event) !== true) return false;
    return true;
  };
}

function disjunction(operands: readonly Read[]): Read {
  return (event) => {
    for (const operand of operands) if (operand(event) === true) return true;
    return false;
  };
}
