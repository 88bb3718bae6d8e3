import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import type { KnownPath } from "../data.ts";
import { quoted } from "../draft.ts";
import { ENVELOPE, FUNCTIONS, OPERATORS, WORDS } from "./help.ts";

/** `event`, `event.am`, `event.payload["con` before the cursor. */
const PATH = /event(?:\.[\w$]*|\[(?:'[^']*'?|"[^"]*"?|\d*)\]?)*$/;
const COMPARED = /(event(?:\.[\w$]+|\[(?:'[^']*'|"[^"]*"|\d+)\])*)\s*(?:==|!=|>=|<=|>|<)\s*('[^']*|"[^"]*|[\d.]*)$/;
const LISTED = /(event(?:\.[\w$]+|\[(?:'[^']*'|"[^"]*")\])*)\s+in\s*\[(?:[^\]]*,)?\s*('[^']*|"[^"]*|[\d.]*)$/;
const AFTER_PATH = /event(?:\.[\w$]+|\[(?:'[^']*'|"[^"]*"|\d+)\])+\s+([=!<>]*|i|in)$/;
const AFTER_CLAUSE = /(?:['"\])\d]|true|false|null)\s+(\w*)$/;

const words: readonly Completion[] = [
  ...Object.entries(FUNCTIONS).map(([label, { args, help }]) => ({
    label,
    type: "function",
    detail: `(${args})`,
    info: help,
    apply: `${label}(`,
  })),
  ...Object.entries(WORDS).map(([label, info]) => ({ label, type: "keyword", info })),
  { label: "event", type: "variable", info: "the event: its envelope and the members of its payload", apply: "event." },
];

const operators: readonly Completion[] = Object.entries(OPERATORS).map(([label, info]) => ({
  label,
  type: "operator",
  info,
  apply: label === "in" ? "in [" : `${label} `,
}));

/** Completes paths and values of recent events, functions, operators and keywords. */
export function completions(paths: () => readonly KnownPath[]) {
  return (context: CompletionContext): CompletionResult | null => {
    const before = context.state.doc.sliceString(Math.max(0, context.pos - 300), context.pos);
    const value = COMPARED.exec(before) ?? LISTED.exec(before);
    if (value) return valuesOf(context, paths(), value[1] ?? "", value[2] ?? "");
    const operator = AFTER_PATH.exec(before);
    if (operator) return { from: context.pos - (operator[1] ?? "").length, options: operators, filter: true };
    const path = PATH.exec(before);
    if (path) return { from: context.pos - path[0].length, options: pathOptions(paths()), validFor: /^[\w$.["'\]]*$/ };
    const clause = AFTER_CLAUSE.exec(before);
    const word = /\w*$/.exec(before)?.[0] ?? "";
    if (word === "" && !context.explicit && clause === null) return null;
    const joins = words.filter(({ label }) => label === "and" || label === "or");
    const options = clause && word === (clause[1] ?? "") ? joins : [...pathOptions(paths()), ...words];
    return { from: context.pos - word.length, options, validFor: /^[\w$.]*$/ };
  };
}

function pathOptions(paths: readonly KnownPath[]): readonly Completion[] {
  return paths.map(({ path, types, examples, count }, index) => ({
    label: path,
    type: "property",
    detail: types.map(typeWord).join(" or "),
    info: ENVELOPE[path] ?? (count === 0 ? "not in recent events" : suchAs(examples)),
    // The order of the list: the most frequent first.
    boost: Math.max(-50, 40 - index),
  }));
}

/** The rule language calls strings texts. */
function typeWord(type: string): string {
  return type === "string" ? "text" : type;
}

function suchAs(examples: readonly unknown[]): string {
  if (examples.length === 0) return "seen in recent events";
  return `such as ${examples.slice(0, SHOWN_EXAMPLES).map(shown).join(", ")}`;
}

/** Values that a path had, as literals. */
function valuesOf(
  context: CompletionContext,
  paths: readonly KnownPath[],
  path: string,
  typed: string,
): CompletionResult | null {
  const known = paths.find((each) => each.path === path || each.path === path.replace("event.payload.", "event."));
  const examples = known?.examples ?? [];
  if (examples.length === 0) return null;
  const options = examples.map((example) => ({ label: literal(example), type: "text", info: "seen in recent events" }));
  return { from: context.pos - typed.length, options, validFor: /^['"]?[^'"]*$/ };
}

function literal(value: unknown): string {
  return typeof value === "string" ? quoted(value) : JSON.stringify(value);
}

const SHOWN_EXAMPLES = 3;
const SHOWN_LENGTH = 40;

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
}
