import { Command, CommanderError } from "commander";
import { VERSION } from "../base/version.ts";
import { describeFailure, EXIT } from "./exit-codes.ts";
import { addServe } from "./serve.ts";

/** Runs one command line. Sets the process's exit code; long-running commands go on after this resolves. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = buildProgram();
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    process.exitCode = report(error);
  }
}

function buildProgram(): Command {
  const program = new Command("prism")
    .description("Self-hosted alerting, notification and scheduling: one executable on SQLite")
    .version(VERSION)
    .option("--config <file>", "configuration file (default: prism.config.json here, if there is one)")
    .option("--data-dir <dir>", "directory of the database")
    .option("--url <base>", "a running server, for commands that talk to one (or PRISM_URL)")
    .option("--token <token>", "service token for that server (or PRISM_TOKEN)")
    .option("--json", "one JSON document on stdout, or NDJSON for streams")
    .option("--quiet", "no messages on stderr")
    .option("--no-color", "no colours")
    .option("--log-level <level>", "error, warn, info or debug")
    .showSuggestionAfterError()
    .exitOverride();
  addServe(program);
  for (const command of program.commands) command.exitOverride();
  return program;
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  const failure = describeFailure(error);
  if (failure) {
    process.stderr.write(`prism: ${failure.message}\n`);
    return failure.exitCode;
  }
  process.stderr.write(`prism: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.failure;
}
