import type { Command } from "commander";
import { addExportRules } from "../server/export-rules.ts";
import { addBacktestRule } from "./backtest-rule.ts";
import { addImportRules } from "./import-rules.ts";
import { addListRules } from "./list-rules.ts";
import { addTestRule } from "./test-rule.ts";

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
