import type { Command } from "commander";
import { baseProgram } from "./base-program.ts";
import { addServe } from "./commands/server/serve.ts";
import { refuseUnknown } from "./output/flag-values.ts";
import {
  endOnInterrupt,
  endQuietlyOnBrokenPipe,
  exitOnUncaught,
  keepDebuggerClosed,
  reportFailure,
} from "./output/process-ends.ts";

const LINGER_MS = 1000;

/** Runs one command line and sets the exit code; long-running commands go on after it resolves. */
export async function main(argv: readonly string[]): Promise<void> {
  // Only the owner may read files that Prism writes: the database, its log, secrets and exports.
  process.umask(0o077);
  keepDebuggerClosed();
  endOnInterrupt();
  endQuietlyOnBrokenPipe();
  exitOnUncaught(reportFailure);
  try {
    const program = await programFor(argv);
    refuseUnknown(program, argv);
    await program.parseAsync(withVersionCommand(argv));
  } catch (error) {
    process.exitCode = reportFailure(error);
    // A thread or a timer that a failed start leaves behind must not keep the process; what closes
    // in order has time to.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  }
}

/**
 * `prism --version --all` is `prism version --all`: as a global flag, `--all` would be taken from the
 * commands that have one.
 */
function withVersionCommand(argv: readonly string[]): string[] {
  const [node = "", script = "", ...words] = argv;
  const others = words.filter((word) => word !== "--version" && word !== "-v");
  const isOfAll =
    others.length < words.length && others.includes("--all") && others.every((word) => word.startsWith("-"));
  return isOfAll ? [node, script, "version", ...others] : [...argv];
}

/** A server does not read the code of other commands. */
async function programFor([, , first]: readonly string[]): Promise<Command> {
  if (first === "serve") {
    const program = baseProgram();
    addServe(program);
    return program;
  }
  const { buildProgram } = await import("./program.ts");
  return buildProgram();
}
