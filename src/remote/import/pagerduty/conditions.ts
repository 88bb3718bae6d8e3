import type { Matcher } from "../../../features/alerts/model/matchers.ts";
import { ANY, isPattern, quoted } from "../routes.ts";

/** Fields of events that are labels of Prism's alerts of PagerDuty's senders. */
const LABELS: Readonly<Record<string, string>> = {
  ...{ summary: "alertname", source: "source", component: "component", group: "group", class: "class" },
  severity: "severity",
};
const TERM = /^event\.([a-z]+) (does not match|matches)( part| regex)? ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")$/;

/**
 * The matchers of PagerDuty's conditions, of which one must hold; none: every event. Null: one of them has no matcher.
 */
export function alternativesOf(expressions: readonly string[]): Matcher[][] | null {
  if (expressions.length === 0) return [[]];
  const found = expressions.flatMap((expression) => partsOf(expression, " or ").map(allOf));
  return found.includes(null) ? null : (found as Matcher[][]);
}

function allOf(expression: string): Matcher[] | null {
  const found = partsOf(expression, " and ").map(matcherOf);
  return found.includes(null) ? null : (found as Matcher[]);
}

/** Split at a word outside of quotes; what has parentheses is no term afterwards. */
function partsOf(expression: string, word: string): string[] {
  const parts = [""];
  for (const [piece] of expression.matchAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\s\S]/g)) {
    const last = `${parts.pop() ?? ""}${piece}`;
    if (piece.length === 1 && last.endsWith(word)) parts.push(last.slice(0, -word.length), "");
    else parts.push(last);
  }
  return parts.map((part) => part.trim());
}

function matcherOf(term: string): Matcher | null {
  const [, field = "", verb, how, text = ""] = TERM.exec(term) ?? [];
  const name = LABELS[field];
  if (name === undefined || verb === undefined) return null;
  const isNot = verb === "does not match";
  const value = text.slice(1, -1);
  if (how === " regex") {
    const pattern = `${ANY}(?:${value})${ANY}`;
    return isPattern(pattern) ? { name, operator: isNot ? "!~" : "=~", value: pattern } : null;
  }
  const plain = value.replace(/\\(.)/g, "$1");
  if (how === undefined) return { name, operator: isNot ? "!=" : "=", value: plain };
  return { name, operator: isNot ? "!~" : "=~", value: `${ANY}${quoted(plain)}${ANY}` };
}
