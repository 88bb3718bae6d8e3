import { startOf } from "./text/clean-text.ts";
/** Every error code and its HTTP status. Codes are API: clients, logs and metrics rely on them. */
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
  SECOND_FACTOR_REQUIRED: 401,
  UNAUTHORIZED_ROLE: 403,
  FORBIDDEN: 403,
  SCOPE_MISSING: 403,
  ACCOUNT_PENDING: 403,
  ACCOUNT_DISABLED: 403,
  ACCOUNT_UNVERIFIED: 403,
  REGISTRATION_CLOSED: 403,
  LOCAL_LOGIN_OFF: 403,
  PROXY_REFUSED: 403,
  ORIGIN_REFUSED: 403,
  CHANNEL_FORBIDDEN: 403,
  ACCOUNT_NOT_LINKED: 403,
  PROVIDER_REFUSED: 403,
  NOT_FOUND: 404,
  USER_NOT_FOUND: 404,
  ROLE_NOT_FOUND: 404,
  PROJECT_NOT_FOUND: 404,
  API_KEY_NOT_FOUND: 404,
  EVENT_NOT_FOUND: 404,
  RULE_NOT_FOUND: 404,
  ALERT_NOT_FOUND: 404,
  NOTIFICATION_NOT_FOUND: 404,
  JOB_NOT_FOUND: 404,
  SCHEDULE_NOT_FOUND: 404,
  SHIFT_NOT_FOUND: 404,
  DAYS_OFF_NOT_FOUND: 404,
  DRILL_NOT_FOUND: 404,
  QUEUE_NOT_FOUND: 404,
  BUCKET_NOT_FOUND: 404,
  SOUND_NOT_FOUND: 404,
  MESSAGE_NOT_FOUND: 404,
  TASK_NOT_FOUND: 404,
  SESSION_NOT_FOUND: 404,
  IDENTITY_NOT_FOUND: 404,
  WEBHOOK_NOT_FOUND: 404,
  PUSH_SUBSCRIPTION_NOT_FOUND: 404,
  DELIVERY_NOT_FOUND: 404,
  CHANNEL_NOT_FOUND: 404,
  MODULE_NOT_FOUND: 404,
  TOKEN_NOT_FOUND: 404,
  PASSKEY_NOT_FOUND: 404,
  HEARTBEAT_NOT_FOUND: 404,
  INCIDENT_NOT_FOUND: 404,
  SILENCE_NOT_FOUND: 404,
  POLICY_NOT_FOUND: 404,
  INTEGRATION_NOT_FOUND: 404,
  RECEIVER_NOT_FOUND: 404,
  RECEIVER_REQUEST_NOT_FOUND: 404,
  STATUS_NOTICE_NOT_FOUND: 404,
  SUBSCRIBER_NOT_FOUND: 404,
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
  RIGHTS_FROM_GROUPS: 409,
  SOUND_IN_USE: 409,
  CHANNEL_IN_USE: 409,
  ON_CALL_SCHEDULE_IN_USE: 409,
  INVALID_STATE: 409,
  INCIDENTS_OPEN: 409,
  LIMIT_REACHED: 409,
  JOB_NOT_CANCELLABLE: 409,
  MESSAGE_NOT_CANCELLABLE: 409,
  IDEMPOTENCY_IN_PROGRESS: 409,
  DEFAULT_PROJECT: 409,
  ID_CONFLICT: 409,
  ID_TAKEN: 409,
  IDENTITY_TAKEN: 409,
  SETTING_FIXED: 409,
  MANAGED_BY_CODE: 409,
  CONFIGURATION_REFUSED: 409,
  NO_STANDBY: 409,
  INVITATION_NOT_FOUND: 404,
  LINK_EXPIRED: 410,
  SIGN_IN_EXPIRED: 410,
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
  WORK_LIMITED: 429,
  INTERNAL: 500,
  NOT_CONFIGURED: 501,
  OVERLOADED: 503,
  PROVIDER_UNREACHABLE: 503,
  SHUTTING_DOWN: 503,
  UPGRADING: 503,
  NO_LEADER: 503,
  OUTCOME_UNKNOWN: 503,
  DATABASE_UNAVAILABLE: 503,
  MODULE_UNAVAILABLE: 503,
  STORAGE_FULL: 507,
  STORAGE_LIMIT_REACHED: 507,
} as const;

export type ErrorCode = keyof typeof STATUS_OF;
export const ERROR_CODES = Object.keys(STATUS_OF) as ErrorCode[];

/**
 * One entry of `error.details`: the dotted path of the input ('' for all of it) and the problem.
 * Further members are allowed.
 */
export interface ErrorDetail {
  readonly path?: string;
  readonly code?: string;
  readonly message: string;
  readonly [extra: string]: unknown;
}

/** Limit of `error.details`: more entries rarely help. */
export const MAX_ERROR_DETAILS = 50;

/** Names in a path come from the client and can be as long as its body. */
const MAX_PATH_LENGTH = 256;

/** A detail's path, truncated between characters. */
export function shownPath(path: string): string {
  return path.length <= MAX_PATH_LENGTH ? path : `${startOf(path, MAX_PATH_LENGTH)}…`;
}

interface PrismErrorOptions extends ErrorOptions {
  readonly details?: readonly ErrorDetail[];
  /** Milliseconds until the caller may retry; sent as `Retry-After`. */
  readonly retryAfterMs?: number;
}

/**
 * An expected failure. `code` is stable and public; `message` is for people and may change. Only
 * the HTTP kernel maps it to a status. Misuse by our own code is a TypeError.
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

/**
 * A field that its schema alone cannot refuse. @param input what holds it, such as "body" or "query"
 * @param path as in {@link ErrorDetail} @param message what the value must be
 */
export function invalidField(input: string, path: string, message: string, code = "VALUE"): PrismError {
  return new PrismError("VALIDATION_FAILED", `The ${input} is not valid`, { details: [{ path, code, message }] });
}

/** Ends a `switch` over a union, so that a new member compiles only once it is handled. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value ${JSON.stringify(value)}`);
}

/**
 * A limit is reached. @param what subject and number, such as "A project has 1000 active rules"
 * @param setting its dotted name; null: no setting changes it
 */
export function limitReached(what: string, setting: string | null, limit: number): PrismError {
  const message =
    setting === null ? `${what}; the most is ${limit}` : `${what}; the setting ${setting} allows ${limit}`;
  return new PrismError("LIMIT_REACHED", message, { details: [{ path: "", code: "LIMIT", message, setting, limit }] });
}

/** Node's codes for a lack of file descriptors; the last one: a thread could not start. */
const CODES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ERR_WORKER_INIT_FAILED"]);

/** Whether an operation failed for lack of file descriptors and can be retried. */
export function isOutOfDescriptors(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && "code" in error && CODES.has(error.code);
}

/** Codes of failed connections, in words. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the host name could not be resolved",
  ECONNRESET: "the connection was cut",
  ETIMEDOUT: "no answer",
  UND_ERR_CONNECT_TIMEOUT: "no answer",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS",
  EPROTO: "it does not speak TLS, or another version of it",
};

/** The codes of an error and its causes, such as `ECONNREFUSED`. */
export function errorCodes(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const inner: unknown[] = error instanceof AggregateError ? error.errors : [error.cause];
  return [...("code" in error ? [String(error.code)] : []), ...inner.flatMap(errorCodes)];
}

/** Why a connection failed, for people. The innermost cause: fetch wraps errors once or twice. */
export function connectionReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause;
  if (inner instanceof Error) return connectionReason(inner);
  const code = "code" in error ? String(error.code) : "";
  const [line = ""] = error.message.split("\n");
  return REASONS[code] ?? (line || code);
}
