import type { Command } from "commander";
import { type ConfigSources, type LoadedConfig, loadConfig } from "../config/load.ts";
import { Output } from "./output.ts";

/** Flags that every command takes (contract 10.1). */
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

/** What a command works with. */
export interface Context {
  readonly flags: GlobalFlags;
  readonly out: Output;
  /** @param overrides values of the command's own flags, by dotted key. @throws ConfigRefused */
  loadConfig(overrides?: ConfigSources["flags"], generateSecrets?: boolean): LoadedConfig;
}

export function contextOf(command: Command): Context {
  const flags = command.optsWithGlobals<GlobalFlags>();
  const color = flags.color !== false && process.env["NO_COLOR"] === undefined && process.stdout.isTTY === true;
  return {
    flags,
    out: new Output({ json: flags.json === true, quiet: flags.quiet === true, color }),
    loadConfig: (overrides = {}, generateSecrets = false) =>
      loadConfig({
        flags: { dataDir: flags.dataDir, "log.level": flags.logLevel, ...overrides },
        environment: process.env,
        workingDir: process.cwd(),
        configFile: flags.config ?? process.env["PRISM_CONFIG"],
        generateSecrets,
      }),
  };
}
