import type { Rule } from "../../client/api-types.gen.ts";
import { CommandError, EXIT } from "../../core/command-error.ts";

/* Files of `prism rules export`: rules with names in place of ids, for another server. */

/** Rules, oldest first, and portable names for their ids. */
export interface RuleSet {
  readonly rules: readonly Rule[];
  /** Slug of a project; its id if it is not readable. */
  readonly slugs: ReadonlyMap<string, string>;
  /** External id, username or mail address of a user; missing for unreadable users. */
  readonly users: ReadonlyMap<string, string>;
}

/** Identifies a file of `rules export`. */
const HEAD = { prism: "rules", version: 1 } as const;

/** Read-only members of a rule in rows of `prism export rules`. */
const READ_ONLY = ["id", "version", "createdBy", "createdAt", "updatedAt", "stats", "soundUrl", "broken", "warnings"];

/** An unchecked rule of a file, with its position for messages. */
export interface FiledRule {
  readonly location: string;
  readonly rule: unknown;
}

/** A portable rule: the body of `POST /rules`, with names instead of ids. */
export function portableRule(shown: Rule, { slugs, users }: RuleSet): Readonly<Record<string, unknown>> {
  const { projectId, targetUsers } = shown;
  return {
    ...(settable(shown) as object),
    projectId: projectId === null ? null : (slugs.get(projectId) ?? projectId),
    targetUsers: targetUsers.map((user) => users.get(user) ?? user),
  };
}

/** The text of a rules file: one document that people can read and compare, or NDJSON. */
export function textOfRules(rules: readonly object[], format: "json" | "ndjson"): string {
  if (format === "ndjson") return rules.map((rule) => `${JSON.stringify(rule)}\n`).join("");
  return `${JSON.stringify({ ...HEAD, rules }, null, 2)}\n`;
}

/**
 * Parses the output of `rules export` and `export rules`: a document, a list, a rule, or NDJSON.
 * @throws CommandError 7
 */
export function rulesOfText(text: string): readonly FiledRule[] {
  const [value, problem] = parsed(text);
  if (problem === undefined)
    return rulesIn(value).map((rule, at) => ({ location: `rule ${at + 1}`, rule: settable(rule) }));
  const lines = text.split("\n").map((line, at) => ({ line, location: `line ${at + 1}` }));
  const rows = lines.filter(({ line }) => line.trim() !== "");
  const [first] = rows;
  if (!first) throw invalid("there are no rules in it");
  // A truncated document is not NDJSON.
  if (rows.length < 2 || parsed(first.line)[1] !== undefined) throw invalid(`it is not JSON: ${problem}`);
  return rows.map(({ line, location }) => {
    const [rule, reason] = parsed(line);
    if (reason !== undefined) throw invalid(`${location} is not JSON: ${reason}`);
    return { location, rule: settable(rule) };
  });
}

function parsed(text: string): readonly [value: unknown, problem?: string] {
  try {
    return [JSON.parse(text) as unknown];
  } catch (error) {
    return [undefined, error instanceof Error ? error.message : String(error)];
  }
}

function rulesIn(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (!isObject(value)) throw invalid("it holds neither a rule nor a list of rules");
  if (!Array.isArray(value["rules"])) return [value];
  const { prism = HEAD.prism, version = HEAD.version } = value;
  if (prism !== HEAD.prism || version !== HEAD.version)
    throw invalid(`its header is ${JSON.stringify({ prism, version })}; this version reads ${JSON.stringify(HEAD)}`);
  return value["rules"];
}

/** A rule without its read-only members; any other value unchanged. */
export function settable(rule: unknown): unknown {
  if (!isObject(rule)) return rule;
  return Object.fromEntries(Object.entries(rule).filter(([member]) => !READ_ONLY.includes(member)));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(problem: string): CommandError {
  return new CommandError(EXIT.conflict, `the rules cannot be read: ${problem}`);
}
