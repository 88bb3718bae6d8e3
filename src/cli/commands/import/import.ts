import type { Command } from "commander";
import { resource } from "../../resource.ts";
import { ALERTMANAGER } from "./alertmanager.ts";
import { GOTIFY } from "./gotify.ts";
import { HEALTHCHECKS } from "./healthchecks.ts";
import { NTFY } from "./ntfy.ts";
import { ONCALL } from "./oncall.ts";
import { OPSGENIE } from "./opsgenie.ts";
import { PAGERDUTY } from "./pagerduty.ts";
import { IMPORT_TOKENS } from "./tokens.ts";
import { UPTIME_KUMA } from "./uptime-kuma.ts";

/** `prism import`: configurations and tokens of other programs. */
export function addImport(program: Command): void {
  resource(program, "import", "", {
    text: "import the configuration and tokens of other programs",
    examples: ["import alertmanager alertmanager.yml --dry-run"],
    verbs: {
      alertmanager: ALERTMANAGER,
      oncall: ONCALL,
      opsgenie: OPSGENIE,
      pagerduty: PAGERDUTY,
      ntfy: NTFY,
      gotify: GOTIFY,
      "uptime-kuma": UPTIME_KUMA,
      healthchecks: HEALTHCHECKS,
      tokens: IMPORT_TOKENS,
    },
  });
}
