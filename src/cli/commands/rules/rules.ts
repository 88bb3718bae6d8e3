import { type Command, Option } from "commander";
import { countText } from "../../../core/clean-text.ts";
import { contextOf } from "../../context.ts";
import { requireReplaceable, writeRows } from "../../files.ts";
import { table } from "../../output/output.ts";
import { withServer } from "../../with-server.ts";
import { addBacktestRule } from "./backtest-rule.ts";
import { addChangeRules } from "./change-rules.ts";
import { addImportRules } from "./import-rules.ts";
import { portableRule, readRules, type ShownRule, textOfRules } from "./rule-source.ts";
import { addTestRule } from "./test-rule.ts";

interface Flags {
  readonly project?: string;
  readonly active?: boolean;
}

function addListRules(rules: Command): void {
  rules
    .command("list")
    .description("list rules with their totals, oldest first")
    .option("--project <project>", "rules of one project: id or slug")
    .option("--active", "only active rules")
    .addHelpText(
      "after",
      `
With a token it lists the rules that the token may read.

Examples:
  $ prism rules list
  $ prism rules list --project shop --active --json`,
    )
    .action(async ({ project, active }: Flags, command: Command) => {
      const context = contextOf(command);
      const { rules: all, slugs } = await withServer(context, (server) =>
        readRules(server, project, { withUsers: false }),
      );
      const shown = active ? all.filter((rule) => rule.active) : all;
      context.out.result({ rules: shown }, () =>
        table(
          HEADINGS,
          shown.map((rule) => cellsOf(rule, slugs)),
        ),
      );
      if (shown.length === 0) context.out.note("There are no rules.");
    });
}

const HEADINGS = [
  "ID",
  "PROJECT",
  "ACTIVE",
  "PRIORITY",
  "MATCHED",
  "FIRED",
  "HELD BACK",
  "ERRORS",
  "LAST MATCHED",
  "NAME",
] as const;

function cellsOf({ id, projectId, active, priority, stats, name }: ShownRule, slugs: ReadonlyMap<string, string>) {
  const { matched, fired, suppressed, deduped, cooled, errors, lastMatchedAt } = stats;
  const project = projectId === null ? "(all)" : (slugs.get(projectId) ?? projectId);
  const heldBack = suppressed + deduped + cooled;
  return [id, project, active ? "yes" : "no", priority, matched, fired, heldBack, errors, lastMatchedAt, name];
}

interface ExportFlags {
  readonly project?: string;
  readonly format: "json" | "ndjson";
  readonly out?: string;
  readonly force?: boolean;
}

function addExportRules(rules: Command): void {
  rules
    .command("export")
    .description("export rules for prism rules import")
    .option("--project <project>", "rules of one project: id or slug")
    .addOption(
      new Option("--format <format>", "one JSON document, or one rule per line")
        .choices(["json", "ndjson"])
        .default("json"),
    )
    .option("--out <file>", "file to write (default, and with -: stdout)")
    .option("--force", "replace the file of --out if it exists")
    .addHelpText(
      "after",
      `
Roles are written by name, projects by slug and users by external id, username or mail address, so that another
server can import the file.
Users that the token may not read are written by id.

Examples:
  $ prism rules export --out rules.json
  $ prism rules export --project shop --format ndjson | wc -l`,
    )
    .action(async ({ project, format, out, force = false }: ExportFlags, command: Command) => {
      const context = contextOf(command);
      const file = out === "-" ? undefined : out;
      requireReplaceable(file, force);
      const set = await withServer(context, (server) => readRules(server, project, { withUsers: true }));
      const rules = set.rules.map((rule) => portableRule(rule, set));
      await writeRows([textOfRules(rules, format)], { file, gzip: false, force });
      const unnamed = new Set(set.rules.flatMap(({ targetUsers }) => targetUsers).filter((id) => !set.users.has(id)));
      if (file !== undefined) context.out.result({ format, rules: rules.length, file }, () => "");
      const count = countText(rules.length, "rule");
      context.out.note(file === undefined ? count : `${count} in ${file}`);
      if (unnamed.size > 0)
        context.out.note(
          `${unnamed.size} of their users are written by id: the token may not read users, or they are deleted.`,
        );
    });
}

export function addRules(program: Command): void {
  const rules = program
    .command("rules")
    .description("test, backtest, list, enable, disable, edit, delete, export and import rules")
    .addHelpText(
      "after",
      `\nExamples:\n` +
        `  $ prism rules test --condition "event.level == 'error'" --event '{"level":"error"}'\n` +
        `  $ prism rules list --project shop\n` +
        `  $ prism rules disable 'Disk full'`,
    );
  addTestRule(rules);
  addBacktestRule(rules);
  addListRules(rules);
  addExportRules(rules);
  addImportRules(rules);
  addChangeRules(rules);
}
