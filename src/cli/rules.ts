import type { Command } from "commander";
import { addTestRule } from "./test-rule.ts";

/** What can be done with rules from here. */
export function addRules(program: Command): void {
  const rules = program.command("rules").description("try the conditions of rules");
  addTestRule(rules);
}
