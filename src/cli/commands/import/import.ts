import type { Command } from "commander";
import { resource } from "../../resource.ts";
import { IMPORT_TOKENS } from "../access/import-tokens.ts";
import { ALERTMANAGER } from "./alertmanager.ts";
import { ONCALL } from "./oncall.ts";

/** `prism import`: configurations of other programs. */
export function addImport(program: Command): void {
  resource(program, "import", "", {
    text: "import the configuration and tokens of other programs",
    examples: ["import alertmanager alertmanager.yml --dry-run"],
    verbs: { alertmanager: ALERTMANAGER, oncall: ONCALL, tokens: IMPORT_TOKENS },
  });
}
