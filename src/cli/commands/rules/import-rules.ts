import type { ErrorDetail } from "../../../core/errors.ts";
import { type FiledRule, rulesOfText } from "../../../features/rules/rule-file.ts";
import type { ImportReply } from "../../../features/rules/schema.ts";
import { readFileOrStdin } from "../../files.ts";
import { importRefusal } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import { callOf, type Values, type Verb } from "../../resource.ts";
import { caretLines, warningLines } from "./test-rule.ts";

/** `prism rules import`. */
export const IMPORT_RULES: Verb = {
  text: "create the rules of a file, all or none",
  about: `A rule is identified by its name in its project. An equal rule is left unchanged; one that differs is changed with
--update, and refused without. Nothing is stored unless every rule is valid; each problem is reported with its
position, and the exit code is 7.`,
  examples: [
    "rules.json --dry-run",
    "$ prism rules export --url https://old.example.org | prism rules import - --update",
  ],
  global: true,
  args: { file: ["<file>", "file of rules export: JSON, or one rule per line; - for stdin"] },
  flags: {
    dryRun: ["--dry-run", "check everything, report what would be done, and change nothing"],
    update: ["--update", "change rules that have the same name in the same project"],
  },
  check: async ({ file }) => ({
    filed: rulesOfText(await readFileOrStdin(String(file), "<file>")),
  }),
  get: ({ server, given }) => {
    const { update = false, dryRun = false } = given;
    const rules = filedOf(given).map(({ rule }) => rule);
    return callOf(server, "importRules", { rules, update, dryRun }).catch((error: unknown) => {
      throw importRefusal(error, "rules", (problem) => problemLines(problem, filedOf(given)));
    });
  },
  lines: ({ rules }: ImportReply, { given }) =>
    table(
      ["PROJECT", given["dryRun"] ? "WOULD BE" : "OUTCOME", "RULE"],
      rules.map(({ name, outcome }, at) => [projectOf(filedOf(given)[at]), outcome, name]),
    ),
  after({ rules, created, updated, unchanged }: ImportReply, { out, given }) {
    for (const [at, { name, warnings }] of rules.entries()) {
      const condition = memberOf(filedOf(given)[at]?.rule, "condition");
      const lines = warningLines(warnings ?? [], typeof condition === "string" ? condition : "");
      for (const line of lines) out.note(`${printable(name)}: ${line}`);
    }
    const counts = `${created} created, ${updated} updated, ${unchanged} unchanged`;
    out.note(`${given["dryRun"] ? "Would be: " : ""}${counts}`);
  },
};

function filedOf({ filed }: Values): readonly FiledRule[] {
  return filed as readonly FiledRule[];
}

/** The project as named in the file. */
function projectOf(filed: FiledRule | undefined): string {
  const { projectId } = { projectId: null, ...(filed?.rule as { projectId?: string | null } | undefined) };
  return projectId ?? "(all)";
}

/** A problem with its line in the file, and a caret below a condition or template. */
function problemLines({ path = "", message, ...more }: ErrorDetail, filed: readonly FiledRule[]): string[] {
  const [, at = "", member] = /^rules\.(\d+)(?:\.(.*))?$/.exec(path) ?? [];
  const { location, rule } = filed[Number(at)] ?? { location: path, rule: undefined };
  const { name } = { name: undefined, ...(rule as { name?: unknown } | undefined) };
  const label = typeof name === "string" ? `${location} (${printable(name)})` : location;
  const { position, line, column, expected } = more;
  const where = typeof position === "number" ? `, line ${line}, column ${column}` : "";
  const source = memberOf(rule, member ?? "");
  const named = more.code === "RECIPIENT_NOT_FOUND" && typeof source === "string" ? `${printable(source)} ` : "";
  const head = `  ${label}: ${member === undefined ? "" : `${member}${where}: `}${named}${message}`;
  if (typeof position !== "number" || typeof source !== "string") return [head];
  const hint = Array.isArray(expected) && expected.length > 0 ? [`    expected ${expected.join(" or ")}`] : [];
  return [head, ...caretLines(source, position).map((text) => `    ${text}`), ...hint];
}

/** The value at a dotted path such as `suppression.key`. */
function memberOf(value: unknown, path: string): unknown {
  let found = value;
  for (const name of path.split(".")) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[name];
  }
  return found;
}
