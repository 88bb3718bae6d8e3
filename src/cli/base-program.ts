import { Command } from "commander";
import { VERSION } from "../core/runtime.ts";
import { cliLog } from "./output/output.ts";
import { wantsJson } from "./output/process-ends.ts";

/** The program with its global flags, without commands. */
export function baseProgram(): Command {
  return (
    new Command("prism")
      .description("Self-hosted alerting, notification and scheduling: one executable on SQLite")
      .version(VERSION, "-v, --version", "print the version; with --all also those of its parts")
      .option("--config <file>", "configuration file (default: ./prism.config.json, then /etc/prism/prism.config.json)")
      .option("--data-dir <dir>", "data directory, with the database and control socket (or PRISM_DATA_DIR)")
      .option("--url <base>", "URL of a server (default: PRISM_URL, then the server of the data directory)")
      .option(
        "--token <token>",
        "service token or API key for that server; PRISM_TOKEN and PRISM_TOKEN_FILE keep it out of process lists",
      )
      .option("--json", "print one JSON document on stdout, or NDJSON for streams")
      .option("--quiet", "print nothing on stderr except errors")
      .option("--no-color", "do not colour the output (or NO_COLOR)")
      .option("--log-level <level>", "lowest level to log: error, warn, info or debug")
      // The settings that commands inherit must stand before the commands are added.
      .configureHelp({ showGlobalOptions: true })
      .configureOutput({
        outputError: (text, write) => write(text.replace(/^error: /, "prism: ")),
        // With --json reportFailure prints the error, and nothing else is on stderr.
        ...(wantsJson() ? { writeErr: () => undefined } : {}),
      })
      .showSuggestionAfterError()
      .helpCommand(false)
      // Without the arguments: a token may be among them.
      .hook("preAction", (_, command) => cliLog().debug({ version: VERSION, command: command.name() }, "begins"))
      .exitOverride()
      .addHelpText(
        "after",
        `
Exit codes: 0 done, 1 failure, 2 usage, 3 configuration or schema refused, 4 server or database not reachable,
5 not authorised, 6 not found, 7 conflict or invalid input, 8 check failed, 130 interrupted.

DEBUG=prism:* logs what a command does to stderr; DEBUG=prism:cli logs the steps of the command line only.

Examples:
  $ prism serve
  $ prism user create --username admin --role Admin
  $ export PRISM_TOKEN=$(prism token create --user admin)
  $ prism tail`,
      )
  );
}
