import { CommandError, EXIT } from "../../output/exit-codes.ts";
import type { RuleSet, ShownRule } from "./rule-source.ts";

/** What `rules export` writes around the rules, so that a file says what it is. */
const HEAD = { prism: "rules", version: 1 } as const;

/** What the program says of a rule and nobody can set; in rows of `prism export rules`. */
const READ_ONLY = ["id", "version", "createdBy", "createdAt", "updatedAt", "stats", "soundUrl", "broken", "warnings"];

/** A rule in a file, unchecked, and where it stands there, for messages. */
export interface FiledRule {
  readonly place: string;
  readonly rule: unknown;
}

/** A rule as it means the same elsewhere: the body of `POST /rules`, with names in the place of ids. */
export function portableRule(shown: ShownRule, { slugs, users }: RuleSet): Readonly<Record<string, unknown>> {
  const { projectId, targetUsers } = shown;
  return {
    ...(settable(shown) as object),
    projectId: projectId === null ? null : (slugs.get(projectId) ?? projectId),
    targetUsers: targetUsers.map((user) => users.get(user) ?? user),
  };
}

/** The text of a file of rules: one document to be read and compared by people too, or a rule a line. */
export function textOfRules(rules: readonly object[], format: "json" | "ndjson"): string {
  if (format === "ndjson") return rules.map((rule) => `${JSON.stringify(rule)}\n`).join("");
  return `${JSON.stringify({ ...HEAD, rules }, null, 2)}\n`;
}

/** Rules as `rules export` and `export rules` write them: a document, a list, a rule, or a rule a line. @throws CommandError 7 */
export function rulesOfText(text: string): readonly FiledRule[] {
  const [value, problem] = parsed(text);
  if (problem === undefined)
    return listOf(value).map((rule, at) => ({ place: `rule ${at + 1}`, rule: settable(rule) }));
  const lines = text.split("\n").map((line, at) => ({ line, place: `line ${at + 1}` }));
  const rows = lines.filter(({ line }) => line.trim() !== "");
  const [first] = rows;
  if (!first) throw invalid("there are no rules in it");
  // A document that breaks off in its middle is not a rule a line.
  if (rows.length < 2 || parsed(first.line)[1] !== undefined) throw invalid(`it is not JSON: ${problem}`);
  return rows.map(({ line, place }) => {
    const [rule, reason] = parsed(line);
    if (reason !== undefined) throw invalid(`${place} is not JSON: ${reason}`);
    return { place, rule: settable(rule) };
  });
}

function parsed(text: string): readonly [value: unknown, problem?: string] {
  try {
    return [JSON.parse(text) as unknown];
  } catch (error) {
    return [undefined, error instanceof Error ? error.message : String(error)];
  }
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (!isObject(value)) throw invalid("it holds neither a rule nor a list of rules");
  if (!Array.isArray(value["rules"])) return [value];
  const { prism = HEAD.prism, version = HEAD.version } = value;
  if (prism !== HEAD.prism || version !== HEAD.version)
    throw invalid(`it says ${JSON.stringify({ prism, version })}; this version reads ${JSON.stringify(HEAD)}`);
  return value["rules"];
}

function settable(rule: unknown): unknown {
  if (!isObject(rule)) return rule;
  return Object.fromEntries(Object.entries(rule).filter(([member]) => !READ_ONLY.includes(member)));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(problem: string): CommandError {
  return new CommandError(EXIT.conflict, `the rules cannot be read: ${problem}`);
}
