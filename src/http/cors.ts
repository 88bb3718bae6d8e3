import type { Exchange } from "./exchange.ts";

const LOCALHOST = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;
const EXPOSED =
  "ETag, Idempotency-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Correlation-Id, X-Request-Id";
const REQUEST_HEADERS =
  "Authorization, Content-Type, Content-Encoding, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-API-Key, X-Correlation-Id, X-Request-Id";

/** Which browser origins may call (contract 12.2): an exact list; in development without a list, any port of this machine. */
export class CorsPolicy {
  readonly #origins: ReadonlySet<string>;
  readonly #allowLocalhost: boolean;

  constructor(origins: readonly string[] | undefined, isDevelopment: boolean) {
    this.#origins = new Set(origins ?? []);
    this.#allowLocalhost = origins === undefined && isDevelopment;
  }

  allows(origin: string): boolean {
    return this.#origins.has(origin) || (this.#allowLocalhost && LOCALHOST.test(origin));
  }

  /** Adds what the answer to a cross-origin request needs. */
  apply(exchange: Exchange): void {
    const origin = exchange.header("origin");
    if (origin === "") return;
    exchange.extraHeaders += this.allows(origin)
      ? `Access-Control-Allow-Origin: ${origin}\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: ${EXPOSED}\r\nVary: Origin\r\n`
      : "Vary: Origin\r\n";
  }

  /** Answers OPTIONS of a path that exists. A browser of an origin that is not listed finds no permission in it. */
  preflight(exchange: Exchange, allowed: readonly string[]): void {
    exchange.send(204, null, {
      Allow: allowed.join(", "),
      ...(exchange.header("access-control-request-method") === ""
        ? {}
        : {
            "Access-Control-Allow-Methods": allowed.join(", "),
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": "600",
          }),
    });
  }
}
