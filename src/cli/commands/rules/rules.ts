import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { table } from "../../output/output.ts";
import { addExportRules } from "../server/export-online.ts";
import { addBacktestRule } from "./backtest-rule.ts";
import { addImportRules } from "./import-rules.ts";
import { readRules, type ShownRule } from "./rule-source.ts";
import { addTestRule } from "./test-rule.ts";

interface Flags {
  readonly project?: string;
  readonly active?: boolean;
}

function addListRules(rules: Command): void {
  rules
    .command("list")
    .description("rules with their totals, oldest first")
    .option("--project <project>", "id or slug: rules of one project")
    .option("--active", "only those in force")
    .addHelpText(
      "after",
      `
From the data directory; from a server when --url or PRISM_URL names one, as far as the token may read there.

Examples:
  $ prism rules list
  $ prism rules list --project shop --active --json`,
    )
    .action(async ({ project, active }: Flags, command: Command) => {
      const context = contextOf(command);
      const { rules: all, slugs } = await readRules(context, project, { withUsers: false });
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

/** What can be done with rules from here. */
export function addRules(program: Command): void {
  const rules = program
    .command("rules")
    .description("try, list, export and import rules")
    .addHelpText(
      "after",
      `\nExamples:\n  $ prism rules test --condition "event.level == 'error'" --event '{"level":"error"}'\n  $ prism rules list --project shop`,
    );
  addTestRule(rules);
  addBacktestRule(rules);
  addListRules(rules);
  addExportRules(rules);
  addImportRules(rules);
}
