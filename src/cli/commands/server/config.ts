import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { type DescribedOption, describeConfig } from "../../../config/describe.ts";
import { isVariableSet } from "../../../config/environment.ts";
import type { LoadedConfig } from "../../../config/load.ts";
import { flagName } from "../../../config/option.ts";
import { type CommandContext, refuseUrl } from "../../context.ts";
import { single, tableOf } from "../../resource.ts";

export function addConfig(program: Command): void {
  single(program, "config", {
    text: "show the settings that differ from their default, and the source of each",
    about: `It shows what prism serve would use in this directory. Secrets are shown as ***. It exits 3 when a setting is not
valid.`,
    examples: ["", "--all --json", "--config /etc/prism/prism.config.json"],
    flags: { all: ["--all", "also show settings at their default"] },
    act: (context, { all }) => showConfig(context, all === true),
  });
}

/** @throws ConfigRefused */
function showConfig(context: CommandContext, isAll: boolean): void {
  refuseUrl(context, "config");
  const loaded = context.loadConfig("none");
  const { config, secrets } = loaded.files;
  const settings = describeConfig(loaded.config, loaded.origins)
    .filter(({ origin }) => isAll || origin !== "default")
    .map((option) => ({ ...option, source: sourceText(option, loaded) }));
  const files = { config, secrets: secrets?.path ?? null };
  const shown = settings.map(({ key, value, origin, source, variable }) => ({ key, value, origin, source, variable }));
  context.out.result({ files, settings: shown }, () =>
    settings.length === 0
      ? ["every setting is at its default"]
      : tableOf({ SETTING: "key", VALUE: valueText, FROM: "source" }, settings),
  );
  for (const warning of loaded.warnings) context.out.note(`Warning: ${warning}`);
  if (secrets?.unreadable) context.out.note(`${secrets.path} could not be read: ${secrets.unreadable}`);
}

function valueText({ value }: DescribedOption): string | null {
  if (value === null) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The flag, variable or file of a value. */
function sourceText(option: DescribedOption, { config, files }: LoadedConfig): string {
  const variable =
    [option.variable, ...option.seed].find((name) => isVariableSet(process.env, name)) ?? option.variable;
  switch (option.origin) {
    case "flag":
      return flagName(option.key);
    case "environment":
      return variable;
    case ".env":
      return join(process.cwd(), ".env");
    case "secrets.env":
      return files.secrets?.path ?? "secrets.env";
    case "file":
      return files.config ?? "prism.config.json";
    case "console":
      return files.stored;
    case "generated": {
      const kept = join(config.dataDir, "secrets.json");
      return existsSync(kept) ? kept : "generated with a new database";
    }
    case "default":
      return "default";
  }
}
