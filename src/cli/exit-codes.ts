import { DataDirRefused } from "../base/data-dir.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import { PrismError } from "../base/errors.ts";
import { ConfigRefused } from "../config/load.ts";
import { STATUS_OF } from "../http/error-status.ts";
import { ListenRefused } from "../http/listener.ts";
import { SchemaRefused } from "../store/migrate.ts";

/** What a command's exit says (contract 10.1). */
export const EXIT = {
  done: 0,
  failure: 1,
  usage: 2,
  refused: 3,
  unreachable: 4,
  unauthorised: 5,
  notFound: 6,
  conflict: 7,
  checkFailed: 8,
  interrupted: 130,
} as const;

/** An expected end of a command: the message goes to stderr, without a stack. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}

/** The exit code and the words for an error that ended a command; undefined for one that nobody foresaw. */
export function describeFailure(error: unknown): { exitCode: number; message: string } | undefined {
  if (error instanceof CommandError) return { exitCode: error.exitCode, message: error.message };
  if (error instanceof ConfigRefused) {
    const list = error.problems.map((problem) => `  - ${problem}`).join("\n");
    return { exitCode: EXIT.refused, message: `the configuration is not valid:\n${list}` };
  }
  if (error instanceof SchemaRefused) return { exitCode: EXIT.refused, message: error.message };
  if (error instanceof ListenRefused || error instanceof DataDirRefused)
    return { exitCode: EXIT.unreachable, message: error.message };
  if (error instanceof PrismError)
    return { exitCode: exitCodeOf(error.code), message: `${error.message} (${error.code})` };
  return undefined;
}

/** HTTP 401 and 403 → 5, 404 and RECIPIENT_NOT_FOUND → 6, other 4xx → 7, 5xx → 4. */
export function exitCodeOf(code: ErrorCode): number {
  if (code === "RECIPIENT_NOT_FOUND") return EXIT.notFound;
  const status = STATUS_OF[code];
  if (status === 401 || status === 403) return EXIT.unauthorised;
  if (status === 404) return EXIT.notFound;
  return status >= 500 ? EXIT.unreachable : EXIT.conflict;
}
