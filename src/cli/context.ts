import type { Command } from "commander";
import { type ConfigSources, type LoadedConfig, loadConfig, type SecretsUse } from "../config/load.ts";
import { CommandError, EXIT } from "./output/exit-codes.ts";
import { Output } from "./output/output.ts";

/** Flags that every command accepts (docs/cli.md). */
export interface GlobalFlags {
  readonly config?: string;
  readonly dataDir?: string;
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly color?: boolean;
  readonly logLevel?: string;
}

/** The inputs and outputs of a command. */
export interface CommandContext {
  readonly flags: GlobalFlags;
  readonly out: Output;
  /**
   * @param secrets the ones the command needs; production is refused without them.
   * @param overrides values of the command's own flags, by dotted key. @throws ConfigRefused
   */
  loadConfig(secrets: SecretsUse, overrides?: ConfigSources["flags"]): LoadedConfig;
}

export function contextOf(command: Command): CommandContext {
  const flags = command.optsWithGlobals<GlobalFlags>();
  const color = flags.color !== false && process.env["NO_COLOR"] === undefined && process.stdout.isTTY === true;
  return {
    flags,
    out: new Output({ json: flags.json === true, quiet: flags.quiet === true, color }),
    loadConfig: (secrets, overrides = {}) =>
      loadConfig({
        flags: { dataDir: flags.dataDir, "log.level": flags.logLevel, ...overrides },
        environment: process.env,
        workingDir: process.cwd(),
        configFile: flags.config ?? process.env["PRISM_CONFIG"],
        secrets,
      }),
  };
}

/**
 * Whether a command that can do both talks to a server: when one is named. A data directory named
 * by a flag is nearer than a server named by the environment.
 * @throws CommandError 2 when flags name both.
 */
export function isOnline({ flags }: CommandContext): boolean {
  if (flags.url !== undefined && flags.dataDir !== undefined)
    throw new CommandError(EXIT.usage, "give --url or --data-dir, not both");
  if (flags.url !== undefined) return true;
  return flags.dataDir === undefined && isSet(process.env["PRISM_URL"]);
}

/**
 * For commands that only work on the data directory: ignoring `--url` would change the wrong
 * database. @throws CommandError 2
 */
export function refuseUrl({ flags }: CommandContext, command: string): void {
  if (flags.url !== undefined)
    throw new CommandError(EXIT.usage, `prism ${command} works on the data directory and takes no --url`);
}

export function isSet(variable: string | undefined): variable is string {
  return variable !== undefined && variable !== "";
}
