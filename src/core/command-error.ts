import type { ErrorDetail } from "./errors.ts";

/** Exit code of a command (docs/cli.md). */
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
  /** With --json; default: that of the cause, or of the exit code. */
  readonly code: string | undefined;

  constructor(exitCode: number, message: string, options?: ErrorOptions & { readonly code?: string }) {
    super(message, options);
    this.name = "CommandError";
    this.exitCode = exitCode;
    this.code = options?.code;
  }
}

/** A server's refusal of a request, as in its error body. */
export class ServerRefused extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: readonly ErrorDetail[];
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, code: string, message: string, details: readonly ErrorDetail[], retryAfterMs?: number) {
    super(message);
    this.name = "ServerRefused";
    this.status = status;
    this.code = code;
    this.details = details;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The exit of a refusal: HTTP 401 and 403 → 5, 404 and RECIPIENT_NOT_FOUND → 6, 429 and 5xx → 4, other 4xx → 7. */
export function exitCodeOf(status: number, code: string): number {
  if (code === "RECIPIENT_NOT_FOUND") return EXIT.notFound;
  if (status === 401 || status === 403) return EXIT.unauthorised;
  if (status === 404) return EXIT.notFound;
  return status >= 500 || status === 429 ? EXIT.unreachable : EXIT.conflict;
}
