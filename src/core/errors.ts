import type { ErrorCode } from "./error-codes.ts";

/** One entry of `error.details`: where in the input (`path`, dotted, '' for the whole) and what. Further members are allowed. */
export interface ErrorDetail {
  readonly path?: string;
  readonly code?: string;
  readonly message: string;
  readonly [extra: string]: unknown;
}

/** Entries of `error.details` that a client is told: what is wrong with the rest is seldom news. */
export const MAX_ERROR_DETAILS = 50;

/** Names in a path are the client's own, and can be as long as its body. */
const MAX_PATH_LENGTH = 256;

/** A detail's path as it is shown: cut, and not within a character. */
export function shownPath(path: string): string {
  return path.length <= MAX_PATH_LENGTH ? path : `${path.slice(0, MAX_PATH_LENGTH).replace(/[\ud800-\udbff]$/, "")}…`;
}

export interface PrismErrorOptions extends ErrorOptions {
  readonly details?: readonly ErrorDetail[];
  /** When the caller may try again, in milliseconds from now; becomes `Retry-After`. */
  readonly retryAfterMs?: number;
}

/**
 * An expected failure. `code` is stable and public, `message` is for people and may be reworded. Services throw it;
 * only the HTTP kernel knows statuses. Misuse by our own code is a TypeError, never this class.
 */
export class PrismError extends Error {
  readonly code: ErrorCode;
  readonly details: readonly ErrorDetail[] | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: PrismErrorOptions = {}) {
    super(message, options);
    this.name = "PrismError";
    this.code = code;
    this.details = options.details;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Closes a `switch` over a union: a new member of the union does not compile until every switch has decided about it. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value ${JSON.stringify(value)}`);
}
