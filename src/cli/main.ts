import { Command, CommanderError } from "commander";
import { VERSION } from "../base/version.ts";
import { addDoctor } from "./doctor.ts";
import { describeFailure, EXIT } from "./exit-codes.ts";
import { addExport } from "./export.ts";
import { addHelp } from "./help.ts";
import { addKey } from "./key.ts";
import { addMigrate } from "./migrate.ts";
import { addRules } from "./rules.ts";
import { addServe } from "./serve.ts";
import { addTail } from "./tail.ts";
import { addToken } from "./token.ts";
import { addTrigger } from "./trigger.ts";
import { addUser } from "./user.ts";

const LINGER_MS = 1000;

/** Runs one command line. Sets the process's exit code; long-running commands go on after this resolves. */
export async function main(argv: readonly string[]): Promise<void> {
  // What Prism writes is for its owner: the database, its log, secrets and exports alike.
  process.umask(0o077);
  endQuietlyOnBrokenPipe();
  const program = buildProgram();
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    process.exitCode = report(error);
    // A thread or a timer that a failed start leaves behind must not keep the process; what closes in order has time to.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  }
}

function buildProgram(): Command {
  const program = new Command("prism")
    .description("Self-hosted alerting, notification and scheduling: one executable on SQLite")
    .version(VERSION)
    .option("--config <file>", "configuration file (default: prism.config.json here, if there is one)")
    .option("--data-dir <dir>", "directory of the database")
    .option("--url <base>", "a running server, for commands that talk to one (or PRISM_URL)")
    .option("--token <token>", "token or API key for that server (or PRISM_TOKEN, which no process list shows)")
    .option("--json", "one JSON document on stdout, or NDJSON for streams")
    .option("--quiet", "no messages on stderr but errors")
    .option("--no-color", "no colours")
    .option("--log-level <level>", "error, warn, info or debug")
    // The settings that commands inherit must stand before the commands are added.
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "prism: ")) })
    .showSuggestionAfterError()
    .helpCommand(false)
    .exitOverride()
    .addHelpText(
      "after",
      `
Exit codes: 0 done, 1 failure, 2 usage, 3 configuration or schema refused, 4 server or database not reachable,
5 not authorised, 6 not found, 7 conflict or invalid input, 8 check failed, 130 interrupted.`,
    );
  program.commandsGroup("Server:");
  addServe(program);
  addMigrate(program);
  addDoctor(program);
  program.commandsGroup("Events and rules:");
  addTail(program);
  addTrigger(program);
  addExport(program);
  addRules(program);
  program.commandsGroup("Access:");
  addUser(program);
  addToken(program);
  addKey(program);
  program.commandsGroup("Help:");
  addHelp(program);
  return program;
}

/** `prism export … | head` is no failure: whoever read has seen enough. */
function endQuietlyOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(EXIT.done);
      throw error;
    });
  }
}

function report(error: unknown): number {
  // Commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  const failure = describeFailure(error);
  if (failure) {
    process.stderr.write(`prism: ${failure.message}\n`);
    return failure.exitCode;
  }
  process.stderr.write(`prism: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.failure;
}
