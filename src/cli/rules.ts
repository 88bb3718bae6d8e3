import type { Command } from "commander";
import { addTestRule } from "./test-rule.ts";

/** What can be done with rules from here. */
export function addRules(program: Command): void {
  const rules = program
    .command("rules")
    .description("try the conditions of rules")
    .addHelpText(
      "after",
      `\nExample:\n  $ prism rules test --condition "event.level == 'error'" --event '{"level":"error"}'`,
    );
  addTestRule(rules);
}
