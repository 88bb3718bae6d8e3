import type { Command } from "commander";
import type { ErrorDetail } from "../../../core/errors.ts";
import type { ImportReply } from "../../../features/rules/schema.ts";
import { type Context, contextOf, isOnline } from "../../context.ts";
import { readStdin, readTextFile } from "../../files.ts";
import { importRefusal } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import { serverOf } from "../../server-client.ts";
import { type FiledRule, rulesOfText } from "./rule-source.ts";
import { caretLines, warningLines } from "./test-rule.ts";

interface Flags {
  readonly dryRun?: boolean;
  readonly update?: boolean;
}

export function addImportRules(rules: Command): void {
  rules
    .command("import")
    .description("make the rules of a file, all or none; works beside a running server")
    .argument("<file>", "what rules export wrote: JSON or a rule a line; - for stdin")
    .option("--dry-run", "check everything and say what would be done, and do nothing")
    .option("--update", "change rules that are there under the same name in the same project")
    .addHelpText(
      "after",
      `
A rule is known by its name in its project. One that is there and equal is left alone; one that differs is changed with --update,
and refused without. Nothing is stored unless every rule is valid; what is wrong is said with its place, and exits 7.
On the data directory; on a server when --url or PRISM_URL names one.

Examples:
  $ prism rules import rules.json --dry-run
  $ prism rules export --url https://old.example.org | prism rules import - --update`,
    )
    .action(async (file: string, flags: Flags, command: Command) => run(contextOf(command), file, flags));
}

async function run(context: Context, file: string, { dryRun = false, update = false }: Flags): Promise<void> {
  const filed = rulesOfText(file === "-" ? await readStdin() : readTextFile(file, "<file>"));
  const body = { rules: filed.map(({ rule }) => rule), update, dryRun };
  const store = isOnline(context)
    ? (await serverOf(context)).post<ImportReply>("/api/v1/rules/import", body)
    : import("./import-rules-offline.ts").then(({ importOffline }) => importOffline(context, body));
  const reply = await store.catch((error: unknown) => {
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

/** The project as the file names it. */
function projectOf(filed: FiledRule | undefined): string {
  const { projectId } = { projectId: null, ...(filed?.rule as { projectId?: string | null } | undefined) };
  return projectId ?? "(all)";
}

/**
 * A problem with its place in the file, and under a condition or template a caret at the place that
 * is meant.
 */
function problemLines({ path = "", message, ...more }: ErrorDetail, filed: readonly FiledRule[]): string[] {
  const [, at = "", member] = /^rules\.(\d+)(?:\.(.*))?$/.exec(path) ?? [];
  const { place, rule } = filed[Number(at)] ?? { place: path, rule: undefined };
  const { name } = { name: undefined, ...(rule as { name?: unknown } | undefined) };
  const label = typeof name === "string" ? `${place} (${printable(name)})` : place;
  const { position, line, column, expected } = more;
  const where = typeof position === "number" ? `, line ${line}, column ${column}` : "";
  const head = `  ${label}: ${member === undefined ? "" : `${member}${where}: `}${message}`;
  const source = memberOf(rule, member ?? "");
  if (typeof position !== "number" || typeof source !== "string") return [head];
  const hint = Array.isArray(expected) && expected.length > 0 ? [`    expected ${expected.join(" or ")}`] : [];
  return [head, ...caretLines(source, position).map((text) => `    ${text}`), ...hint];
}

/** What stands under a dotted path such as `suppression.key`. */
function memberOf(value: unknown, path: string): unknown {
  let found = value;
  for (const name of path.split(".")) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[name];
  }
  return found;
}
