import { CommanderError } from "commander";
import type { Logger } from "../../core/log.ts";
import { isUncaughtHandled } from "../../core/runtime.ts";
import { CommandError, describeFailure, EXIT, type Failure } from "./exit-codes.ts";
import { cliLog, printable } from "./output.ts";
import { asTyped } from "./text.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs work with temporary files, which are removed even if the process is ended. It then ends by
 * the signal itself, which a shell shows as 130: `process.exit` would wait for a thread that SQLite
 * keeps busy, possibly for minutes.
 */
export async function cleaningUp<T>(cleanUp: () => void, work: () => Promise<T>): Promise<T> {
  const others = SIGNALS.map((signal) => [signal, process.listeners(signal)] as const);
  const end = (signal: NodeJS.Signals): void => {
    cleanUp();
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.removeAllListeners(signal).on(signal, end);
  process.once("exit", cleanUp);
  try {
    return await work();
  } finally {
    process.off("exit", cleanUp);
    for (const [signal, listeners] of others) {
      process.off(signal, end);
      for (const listener of listeners) process.on(signal, listener);
    }
  }
}

/** Whether errors are printed as JSON. Commander may fail before it has parsed the flags. */
export function wantsJson(): boolean {
  const end = process.argv.indexOf("--");
  return process.argv.slice(0, end === -1 ? undefined : end).includes("--json");
}

/** Prints on stderr why a command failed. @returns its exit code. */
export function reportFailure(error: unknown): number {
  const found = error instanceof CommanderError ? usageFailure(error) : (describeFailure(error) ?? unexpected(error));
  if (found === null) return EXIT.done;
  cliLog().debug({ err: error }, "the command failed");
  const { exitCode, code, message, summary, details } = found;
  if (wantsJson()) {
    const body = { code, message: summary, details, exitCode };
    process.stderr.write(`${JSON.stringify({ error: body })}\n`);
  } else if (!(error instanceof CommanderError)) {
    // Some messages contain texts of a server or of a stored rule.
    process.stderr.write(`prism: ${asTyped(message).split("\n").map(printable).join("\n")}\n`);
  }
  return exitCode;
}

/** Commander has printed it for people. @returns null for --help and --version. */
function usageFailure({ exitCode, code, message }: CommanderError): Failure | null {
  if (exitCode === 0) return null;
  const summary = code === "commander.help" ? "give a command; prism help lists them" : message.replace(/^error: /, "");
  return { exitCode: EXIT.usage, code: "USAGE", message: summary, summary, details: [] };
}

function unexpected(error: unknown): Failure {
  const [line = ""] = (error instanceof Error ? error.message || error.name : String(error)).split("\n");
  const message = `unexpected error: ${line}; DEBUG=prism:cli logs its stack`;
  return { exitCode: EXIT.failure, code: "UNEXPECTED", message, summary: message, details: [] };
}

/** Ctrl-C ends every command at once; the server removes {@link interrupt} and stops in order. */
export function endOnInterrupt(): void {
  process.on("SIGINT", interrupt);
}

export function interrupt(): void {
  process.exit(EXIT.interrupted);
}

/** Without a handler SIGUSR1 opens Node's debugger to every user of this machine. */
export function keepDebuggerClosed(): void {
  process.on("SIGUSR1", () => undefined);
}

/** For long-running processes: signals without a meaning here are logged. */
export function ignoreSignals(log: Logger): void {
  for (const signal of ["SIGUSR1", "SIGUSR2", "SIGALRM"] as const)
    process.on(signal, () => log.info({ signal }, "this signal has no effect"));
}

const STOPPING = ["SIGTERM", "SIGQUIT", "SIGINT"] as const;

/** For long-running processes: a first signal stops them in order, a second one ends them at once. */
export function stopOnSignals(log: Logger, stop: () => void, signals: readonly NodeJS.Signals[] = STOPPING): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(EXIT.failure);
    isStopping = true;
    log.info({ signal }, "stopping");
    stop();
  };
  process.off("SIGINT", interrupt);
  for (const signal of signals) process.on(signal, onSignal);
}

/** `prism export … | head` is not a failure. */
export function endQuietlyOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(EXIT.done);
      throw new CommandError(EXIT.failure, `the output cannot be written: ${error.message}`, { cause: error });
    });
  }
}

/**
 * An uncaught error in a callback ends the process, unless a handler claims it. A later call
 * replaces an earlier `report`.
 */
export function exitOnUncaught(report: (error: Error) => unknown): void {
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => {
    if (isUncaughtHandled(error)) return;
    report(error);
    process.exit(EXIT.failure);
  });
}
