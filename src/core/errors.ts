/**
 * Every code that Prism answers with. Codes are API: clients, logs, metrics and tests rely on them.
 * What a code means on the wire (its status) stands in src/http/error-reply.ts.
 */
export const ERROR_CODES = [
  "VALIDATION_FAILED",
  "MALFORMED_JSON",
  "AMBIGUOUS_CREDENTIALS",
  "INVALID_CURSOR",
  "INVALID_TIMEZONE",
  "INVALID_CRON",
  "UNAUTHENTICATED",
  "INVALID_CREDENTIALS",
  "TOKEN_EXPIRED",
  "TOKEN_INVALID",
  "REFRESH_REUSED",
  "SESSION_REVOKED",
  "INVALID_API_KEY",
  "SIGNATURE_INVALID",
  "UNAUTHORIZED_ROLE",
  "FORBIDDEN",
  "SCOPE_MISSING",
  "ACCOUNT_PENDING",
  "ACCOUNT_DISABLED",
  "ACCOUNT_UNVERIFIED",
  "REGISTRATION_CLOSED",
  "ORIGIN_REFUSED",
  "CHANNEL_FORBIDDEN",
  "NOT_FOUND",
  "USER_NOT_FOUND",
  "ROLE_NOT_FOUND",
  "PROJECT_NOT_FOUND",
  "API_KEY_NOT_FOUND",
  "EVENT_NOT_FOUND",
  "RULE_NOT_FOUND",
  "NOTIFICATION_NOT_FOUND",
  "JOB_NOT_FOUND",
  "SCHEDULE_NOT_FOUND",
  "QUEUE_NOT_FOUND",
  "BUCKET_NOT_FOUND",
  "SOUND_NOT_FOUND",
  "MESSAGE_NOT_FOUND",
  "TASK_NOT_FOUND",
  "SESSION_NOT_FOUND",
  "WEBHOOK_NOT_FOUND",
  "MODULE_NOT_FOUND",
  "TOKEN_NOT_FOUND",
  "METHOD_NOT_ALLOWED",
  "REQUEST_TIMEOUT",
  "LENGTH_REQUIRED",
  "URI_TOO_LONG",
  "UPGRADE_REQUIRED",
  "HEADERS_TOO_LARGE",
  "EMAIL_TAKEN",
  "USERNAME_TAKEN",
  "PHONE_TAKEN",
  "NAME_TAKEN",
  "ROLE_IN_USE",
  "ROLE_BUILTIN",
  "LAST_ADMIN",
  "SOUND_IN_USE",
  "INVALID_STATE",
  "LIMIT_REACHED",
  "JOB_NOT_CANCELLABLE",
  "MESSAGE_NOT_CANCELLABLE",
  "IDEMPOTENCY_IN_PROGRESS",
  "DEFAULT_PROJECT",
  "ID_CONFLICT",
  "INVITATION_NOT_FOUND",
  "LINK_EXPIRED",
  "VERSION_CONFLICT",
  "PAYLOAD_TOO_LARGE",
  "BATCH_TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
  "INVALID_AUDIO",
  "INVALID_CONDITION",
  "INVALID_TEMPLATE",
  "RECIPIENT_NOT_FOUND",
  "BATCH_REJECTED",
  "IDEMPOTENCY_KEY_REUSED",
  "PRIVILEGE_ESCALATION",
  "URL_REFUSED",
  "WEAK_PASSWORD",
  "RATE_LIMITED",
  "INTERNAL",
  "NOT_CONFIGURED",
  "OVERLOADED",
  "SHUTTING_DOWN",
  "DATABASE_UNAVAILABLE",
  "MODULE_UNAVAILABLE",
  "STORAGE_FULL",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

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

interface PrismErrorOptions extends ErrorOptions {
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

/** More than the configuration allows. @param what subject and number, such as "A project has 1000 active rules" @param setting its dotted name */
export function limitReached(what: string, setting: string, limit: number): PrismError {
  const message = `${what}; the setting ${setting} allows ${limit}`;
  return new PrismError("LIMIT_REACHED", message, { details: [{ path: "", code: "LIMIT", message, setting, limit }] });
}

/** `code` of errors of Node that pass when files or connections are closed; the last one: a thread could not begin. */
const CODES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ERR_WORKER_INIT_FAILED"]);

/** Whether something failed because the process has no free file descriptor: it can be tried again. */
export function isOutOfDescriptors(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && "code" in error && CODES.has(error.code);
}
