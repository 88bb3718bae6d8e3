import {
  type ErrorCode,
  type ErrorDetail,
  isOutOfDescriptors,
  MAX_ERROR_DETAILS,
  PrismError,
  shownPath,
} from "../core/errors.ts";

/** What each code is on the wire: the only place where a code becomes a status (contract 4.2). */
export const STATUS_OF = {
  VALIDATION_FAILED: 400,
  MALFORMED_JSON: 400,
  AMBIGUOUS_CREDENTIALS: 400,
  INVALID_CURSOR: 400,
  INVALID_TIMEZONE: 400,
  INVALID_CRON: 400,
  UNAUTHENTICATED: 401,
  INVALID_CREDENTIALS: 401,
  TOKEN_EXPIRED: 401,
  TOKEN_INVALID: 401,
  REFRESH_REUSED: 401,
  SESSION_REVOKED: 401,
  INVALID_API_KEY: 401,
  SIGNATURE_INVALID: 401,
  UNAUTHORIZED_ROLE: 403,
  FORBIDDEN: 403,
  SCOPE_MISSING: 403,
  ACCOUNT_PENDING: 403,
  ACCOUNT_DISABLED: 403,
  ACCOUNT_UNVERIFIED: 403,
  REGISTRATION_CLOSED: 403,
  ORIGIN_REFUSED: 403,
  CHANNEL_FORBIDDEN: 403,
  NOT_FOUND: 404,
  USER_NOT_FOUND: 404,
  ROLE_NOT_FOUND: 404,
  PROJECT_NOT_FOUND: 404,
  API_KEY_NOT_FOUND: 404,
  EVENT_NOT_FOUND: 404,
  RULE_NOT_FOUND: 404,
  NOTIFICATION_NOT_FOUND: 404,
  JOB_NOT_FOUND: 404,
  SCHEDULE_NOT_FOUND: 404,
  QUEUE_NOT_FOUND: 404,
  BUCKET_NOT_FOUND: 404,
  SOUND_NOT_FOUND: 404,
  MESSAGE_NOT_FOUND: 404,
  TASK_NOT_FOUND: 404,
  SESSION_NOT_FOUND: 404,
  WEBHOOK_NOT_FOUND: 404,
  MODULE_NOT_FOUND: 404,
  TOKEN_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  LENGTH_REQUIRED: 411,
  URI_TOO_LONG: 414,
  UPGRADE_REQUIRED: 426,
  HEADERS_TOO_LARGE: 431,
  EMAIL_TAKEN: 409,
  USERNAME_TAKEN: 409,
  PHONE_TAKEN: 409,
  NAME_TAKEN: 409,
  ROLE_IN_USE: 409,
  ROLE_BUILTIN: 409,
  LAST_ADMIN: 409,
  SOUND_IN_USE: 409,
  INVALID_STATE: 409,
  LIMIT_REACHED: 409,
  JOB_NOT_CANCELLABLE: 409,
  MESSAGE_NOT_CANCELLABLE: 409,
  IDEMPOTENCY_IN_PROGRESS: 409,
  DEFAULT_PROJECT: 409,
  ID_CONFLICT: 409,
  INVITATION_NOT_FOUND: 404,
  LINK_EXPIRED: 410,
  VERSION_CONFLICT: 412,
  PAYLOAD_TOO_LARGE: 413,
  BATCH_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INVALID_AUDIO: 415,
  INVALID_CONDITION: 422,
  INVALID_TEMPLATE: 422,
  RECIPIENT_NOT_FOUND: 422,
  BATCH_REJECTED: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  PRIVILEGE_ESCALATION: 422,
  URL_REFUSED: 422,
  WEAK_PASSWORD: 422,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  NOT_CONFIGURED: 501,
  OVERLOADED: 503,
  SHUTTING_DOWN: 503,
  DATABASE_UNAVAILABLE: 503,
  MODULE_UNAVAILABLE: 503,
  STORAGE_FULL: 507,
} as const satisfies Record<ErrorCode, number>;

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

/** An error as a client sees it, and nothing more. */
interface ErrorBody {
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
