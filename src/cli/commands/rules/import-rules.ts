import type { Command } from "commander";
import type { ErrorDetail } from "../../../core/errors.ts";
import type { ImportReply } from "../../../features/rules/schema.ts";
import { type Context, contextOf } from "../../context.ts";
import { readStdin, readTextFile } from "../../files.ts";
import { importRefusal } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import { withServer } from "../../with-server.ts";
import { type FiledRule, rulesOfText } from "./rule-source.ts";
import { caretLines, warningLines } from "./test-rule.ts";

interface Flags {
  readonly dryRun?: boolean;
  readonly update?: boolean;
}

export function addImportRules(rules: Command): void {
  rules
    .command("import")
    .description("create the rules of a file, all or none")
    .argument("<file>", "file of rules export: JSON, or one rule per line; - for stdin")
    .option("--dry-run", "check everything, report what would be done, and change nothing")
    .option("--update", "change rules that have the same name in the same project")
    .addHelpText(
      "after",
      `
A rule is identified by its name in its project. An equal rule is left unchanged; one that differs is changed with
--update, and refused without. Nothing is stored unless every rule is valid; each problem is reported with its
position, and the exit code is 7.

Examples:
  $ prism rules import rules.json --dry-run
  $ prism rules export --url https://old.example.org | prism rules import - --update`,
    )
    .action(async (file: string, flags: Flags, command: Command) => run(contextOf(command), file, flags));
}

async function run(context: Context, file: string, { dryRun = false, update = false }: Flags): Promise<void> {
  const filed = rulesOfText(file === "-" ? await readStdin() : readTextFile(file, "<file>"));
  const body = { rules: filed.map(({ rule }) => rule), update, dryRun };
  const path = "/api/v1/rules/import";
  const reply = await withServer(context, (server) => server.post<ImportReply>(path, body)).catch((error: unknown) => {
    throw importRefusal(error, "rules", (problem) => problemLines(problem, filed));
  });
  context.out.result(reply, () =>
    table(
      ["PROJECT", dryRun ? "WOULD BE" : "OUTCOME", "RULE"],
      reply.rules.map(({ name, outcome }, at) => [projectOf(filed[at]), outcome, name]),
    ),
  );
  for (const [at, { name, warnings }] of reply.rules.entries()) {
    const condition = memberOf(filed[at]?.rule, "condition");
    const lines = warningLines(warnings ?? [], typeof condition === "string" ? condition : "");
    for (const line of lines) context.out.note(`${printable(name)}: ${line}`);
  }
  const { created, updated, unchanged } = reply;
  context.out.note(`${dryRun ? "Would be: " : ""}${created} created, ${updated} updated, ${unchanged} unchanged`);
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
