import {
  type ErrorDetail,
  isOutOfDescriptors,
  MAX_ERROR_DETAILS,
  PrismError,
  STATUS_OF,
  shownPath,
} from "../../core/errors.ts";

/** Maps unexpected errors to INTERNAL with a constant message: theirs may contain SQL or data. */
export function toPrismError(error: unknown): PrismError {
  if (error instanceof PrismError) return error;
  if (isOutOfDescriptors(error))
    return new PrismError("OVERLOADED", "The server has no free file descriptor", { cause: error, retryAfterMs: 1000 });
  return new PrismError("INTERNAL", "Internal error", { cause: error });
}

/** The error as sent to the client. */
export function errorBody(error: PrismError, requestId: string) {
  const { code, message, details } = error;
  if (code === "INTERNAL") return { error: { code, message: "Internal error", requestId } };
  return { error: { code, message, requestId, ...(details ? { details: shownDetails(details) } : {}) } };
}

/** The single limit for error details: an answer must not grow with the number of problems. */
function shownDetails(details: readonly ErrorDetail[]): readonly ErrorDetail[] {
  return details
    .slice(0, MAX_ERROR_DETAILS)
    .map((detail) => (detail.path === undefined ? detail : { ...detail, path: shownPath(detail.path) }));
}

/** Header fields of an error code (docs/http.md). */
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

/** After these errors the client's further data is unusable: the answer closes the connection. */
export function endsConnection(error: PrismError): boolean {
  const status = STATUS_OF[error.code];
  return status === 408 || status === 411 || status === 413 || error.code === "SHUTTING_DOWN";
}
