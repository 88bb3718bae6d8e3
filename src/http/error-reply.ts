import type { ErrorCode } from "../core/error-codes.ts";
import { type ErrorDetail, MAX_ERROR_DETAILS, PrismError, shownPath } from "../core/errors.ts";
import { isOutOfDescriptors } from "../core/out-of-descriptors.ts";
import { STATUS_OF } from "./error-status.ts";

/** An error as a client sees it, and nothing more. */
export interface ErrorBody {
  readonly error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly requestId: string;
    readonly details?: readonly unknown[];
  };
}

/** What was not foreseen becomes INTERNAL with a constant message: its words may name files, SQL or data. */
export function toPrismError(error: unknown): PrismError {
  if (error instanceof PrismError) return error;
  if (isOutOfDescriptors(error))
    return new PrismError("OVERLOADED", "The server has no free file descriptor", { cause: error, retryAfterMs: 1000 });
  return new PrismError("INTERNAL", "Internal error", { cause: error });
}

export function errorBody(error: PrismError, requestId: string): ErrorBody {
  const { code, message, details } = error;
  if (code === "INTERNAL") return { error: { code, message: "Internal error", requestId } };
  return { error: { code, message, requestId, ...(details ? { details: shownDetails(details) } : {}) } };
}

/** The one place where the details of all errors are bounded: an answer must not grow with what was wrong in the request. */
function shownDetails(details: readonly ErrorDetail[]): readonly ErrorDetail[] {
  return details
    .slice(0, MAX_ERROR_DETAILS)
    .map((detail) => (detail.path === undefined ? detail : { ...detail, path: shownPath(detail.path) }));
}

/** Header fields that belong to a code (contract 4.2). */
export function errorHeaders(error: PrismError): Record<string, string> {
  const status = STATUS_OF[error.code];
  const headers: Record<string, string> = {};
  if (status === 401) {
    const isBad = error.code !== "UNAUTHENTICATED";
    headers["WWW-Authenticate"] = `Bearer realm="prism"${isBad ? ', error="invalid_token"' : ""}`;
  }
  if (status === 426) headers["Upgrade"] = "websocket";
  if (status === 429 || status === 503) {
    headers["Retry-After"] = String(Math.max(1, Math.ceil((error.retryAfterMs ?? 1000) / 1000)));
  }
  return headers;
}

/** After these the rest of what the client sends cannot be used: the connection ends with the answer. */
export function endsConnection(error: PrismError): boolean {
  const status = STATUS_OF[error.code];
  return status === 408 || status === 411 || status === 413 || error.code === "SHUTTING_DOWN";
}
