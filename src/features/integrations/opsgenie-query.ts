import { PrismError } from "../../core/errors.ts";
import type { OpsgenieAlert } from "./opsgenie-alerts.ts";

type Test = (alert: OpsgenieAlert) => boolean;

/**
 * A filter of Opsgenie's search language: `field: value` terms joined by AND, alternatives by OR,
 * which binds less, `NOT` before a term, and words that the message or the description contains.
 * @throws VALIDATION_FAILED
 */
export function alertFilter(query: string): Test {
  const terms = query.match(TERM) ?? [];
  let tests: Test[] = [];
  const alternatives = [tests];
  let isNegated = false;
  for (const term of terms) {
    const word = term.trim();
    if (/[()]/.test(word.replace(/"[^"]*"/g, ""))) throw refused("Parentheses are not supported; quote them in words");
    if (/^and$/i.test(word)) continue;
    if (/^or$/i.test(word)) {
      tests = [];
      alternatives.push(tests);
      continue;
    }
    if (/^not$/i.test(word)) {
      isNegated = true;
      continue;
    }
    const test = testOf(word);
    tests.push(isNegated ? (alert) => !test(alert) : test);
    isNegated = false;
  }
  if (alternatives.length > 1 && alternatives.some((each) => each.length === 0))
    throw refused("OR needs a term on both sides");
  return (alert) => alternatives.some((each) => each.every((test) => test(alert)));
}

/** A field with its value, or a word; values may be quoted. */
const TERM = /\w+\s*[:=]\s*(?:"[^"]*"|[^\s"]+)|"[^"]*"|[^\s"]+/g;

function testOf(term: string): Test {
  const [, field, value] = /^(\w+)\s*[:=]\s*(.*)$/s.exec(term) ?? [];
  const wanted = unquoted(value ?? term).toLowerCase();
  if (field === undefined) return ({ message, description }) => holds(message, wanted) || holds(description, wanted);
  const read = FIELDS[field];
  if (!read) throw refused(`The field ${field} is not supported; known ones: ${Object.keys(FIELDS).join(", ")}`);
  return (alert) => {
    const found = read(alert);
    return typeof found === "string" ? matches(found, wanted) : found.some((each) => matches(each, wanted));
  };
}

const FIELDS: Readonly<Record<string, (alert: OpsgenieAlert) => string | readonly string[]>> = {
  status: ({ status }) => status,
  alias: ({ alias }) => alias,
  tag: ({ tags }) => tags,
  tags: ({ tags }) => tags,
  priority: ({ priority }) => priority,
  message: ({ message }) => message,
  entity: ({ entity }) => entity,
  source: ({ source }) => source,
  tinyId: ({ tinyId }) => tinyId,
  acknowledged: ({ acknowledged }) => String(acknowledged),
  snoozed: ({ snoozed }) => String(snoozed),
};

/** `*` at the end: any text that starts so. */
function matches(found: string, wanted: string): boolean {
  const text = found.toLowerCase();
  return wanted.endsWith("*") ? text.startsWith(wanted.slice(0, -1)) : text === wanted;
}

function holds(text: string, wanted: string): boolean {
  return text.toLowerCase().includes(wanted);
}

function unquoted(text: string): string {
  return text.replace(/^"(.*)"$/s, "$1");
}

function refused(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The query is not valid", { details: [{ path: "query", message }] });
}
