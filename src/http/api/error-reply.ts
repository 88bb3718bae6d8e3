import {
  type ErrorDetail,
  isOutOfDescriptors,
  MAX_ERROR_DETAILS,
  PrismError,
  STATUS_OF,
  shownPath,
} from "../../core/errors.ts";

/** RFC 9110 section 15, RFC 6585, RFC 4918. */
const REASON: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  203: "Non-Authoritative Information",
  205: "Reset Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  507: "Insufficient Storage",
};

const LINES = new Map(Object.entries(REASON).map(([status, reason]) => [Number(status), `${status} ${reason}`]));

export function statusLine(status: number): string {
  return LINES.get(status) ?? `${status} Unknown`;
}

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
