/** One problem of a request. */
export interface PrismErrorDetail {
  readonly path?: string;
  readonly code?: string;
  readonly message?: string;
}

export interface PrismErrorInit extends ErrorOptions {
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly details?: readonly PrismErrorDetail[] | undefined;
  readonly retryAfterMs?: number | undefined;
}

/**
 * An error with a stable `code`. The server's codes are those of its API, such as `TOKEN_EXPIRED`
 * or `CHANNEL_FORBIDDEN`. The client adds:
 * - `CONNECTION_FAILED`: no connection, or it broke; retried unless the client has ended.
 * - `CONNECTION_CLOSED`: the server closed permanently; `status` is the WebSocket close code (4400,
 *   4401, 4403, 4404).
 * - `NO_TOKEN`: no credential was given, or `getToken` or `getTicket` returned null.
 * - `NO_WEBSOCKET`: the platform has none, and none was given.
 * - `CREDENTIALS_FAILED`: `getToken` or `getTicket` threw; retried.
 * - `HANDLER_FAILED`: a handler threw; it is called again with the same entry.
 * - `STORAGE_FAILED`: the storage threw.
 * - `BAD_REPLY`: the answer is not Prism's.
 */
export class PrismError extends Error {
  readonly code: string;
  /** The HTTP status or WebSocket close code, if any. */
  readonly status: number | undefined;
  /** The request's id in the server's log. */
  readonly requestId: string | undefined;
  readonly details: readonly PrismErrorDetail[];
  /** The server's `Retry-After`. */
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, init: PrismErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = "PrismError";
    this.code = code;
    this.status = init.status;
    this.requestId = init.requestId;
    this.details = init.details ?? [];
    this.retryAfterMs = init.retryAfterMs;
  }
}

/** The API's error body, unchecked. @internal */
export interface ErrorBody {
  readonly error?: {
    readonly code?: string;
    readonly message?: string;
    readonly requestId?: string;
    readonly details?: readonly PrismErrorDetail[];
  };
}

/** @param status of the HTTP answer; undefined for an answer over the socket. @internal */
export function errorFrom({ error }: ErrorBody, init: PrismErrorInit = {}): PrismError {
  const code = error?.code ?? "BAD_REPLY";
  const message = error?.message ?? "The answer is not one of Prism's";
  return new PrismError(code, message, { requestId: error?.requestId, details: error?.details, ...init });
}

/** Converts anything thrown to an error of this client; keeps an existing code. @internal */
export function wrapped(code: string, message: string, thrown: unknown): PrismError {
  return thrown instanceof PrismError ? thrown : new PrismError(code, message, { cause: thrown });
}
