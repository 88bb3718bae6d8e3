import type { Command } from "commander";
import { resource } from "../../resource.ts";
import { ALERTMANAGER } from "./alertmanager.ts";
import { OPSGENIE } from "./opsgenie.ts";
import { PAGERDUTY } from "./pagerduty.ts";

/** `prism import`: configurations of other programs. */
export function addImport(program: Command): void {
  resource(program, "import", "", {
    text: "import the configuration of another program",
    examples: ["import alertmanager alertmanager.yml --dry-run"],
    verbs: { alertmanager: ALERTMANAGER, opsgenie: OPSGENIE, pagerduty: PAGERDUTY },
  });
}
