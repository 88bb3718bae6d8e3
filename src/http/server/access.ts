import type { PermissionHolder, Principal, UserPrincipal } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import type { TokenScope } from "../../core/permissions.ts";
import type { RouteAccess } from "../api/route.ts";
import type { Exchange } from "./exchange.ts";

/** The only check of a route's requirements. @throws UNAUTHORIZED_ROLE, SCOPE_MISSING, FORBIDDEN */
export function requireAccess(access: RouteAccess, principal: Principal): void {
  if (access === "public") return;
  if (access.operatorOnly && principal.kind !== "operator")
    throw new PrismError("FORBIDDEN", "Only the operator may do this, through the control socket");
  if (principal.kind === "apiKey") {
    if (access.anyKey) return;
    if (access.keyScope === undefined) throw new PrismError("FORBIDDEN", "API keys cannot be used here");
    if (!principal.scopes.has(access.keyScope)) {
      throw new PrismError("SCOPE_MISSING", `The API key lacks the scope ${access.keyScope}`, {
        details: [{ code: "SCOPE_MISSING", message: `lacks the scope ${access.keyScope}`, scope: access.keyScope }],
      });
    }
    return;
  }
  if (access.permission === undefined) {
    if (!access.anyToken) requireTokenScope(principal, access.tokenScopes ?? []);
    return;
  }
  if (access.within !== "project" && !principal.permissions.has(access.permission))
    throw missingPermission(access.permission);
}

/**
 * Checks the caller of a request again before it writes: it may have waited for the writer. Where a
 * permission of the server is needed, each lost one refuses: the handler may have compared it. @throws as
 * {@link requireAccess}; TOKEN_INVALID if the credential or account has ended
 */
export function requireAccessStill(access: RouteAccess, { principal, rights, rightsAt }: Exchange): void {
  if (access === "public" || !principal || !rights || rights.changes === rightsAt) return;
  const now = rights.refresh(principal);
  if (!now) throw new PrismError("TOKEN_INVALID", "The credential is no longer valid");
  requireAccess(access, now);
  if (access.permission === undefined || access.within === "project") return;
  if (principal.kind === "apiKey" || now.kind === "apiKey") return;
  for (const each of principal.permissions) if (!now.permissions.has(each)) throw missingPermission(each);
}

/** Whether the caller is not a service token, or one with one of these scopes. */
export function hasTokenScope({ tokenScopes }: PermissionHolder, wanted: readonly TokenScope[]): boolean {
  return tokenScopes === null || wanted.some((scope) => tokenScopes.has(scope));
}

/** @throws SCOPE_MISSING; FORBIDDEN if no scope admits a service token */
export function requireTokenScope(principal: PermissionHolder, wanted: readonly TokenScope[]): void {
  if (hasTokenScope(principal, wanted)) return;
  const [scope] = wanted;
  if (scope === undefined) throw new PrismError("FORBIDDEN", "Service tokens cannot be used here; log in");
  throw new PrismError("SCOPE_MISSING", `The service token lacks the scope ${wanted.join(" or ")}`, {
    details: [{ code: "SCOPE_MISSING", message: `lacks the scope ${wanted.join(" or ")}`, scope }],
  });
}

/** @param hint what the caller can do instead. */
export function missingPermission(permission: string, hint?: string): PrismError {
  const more = hint === undefined ? "" : `; ${hint}`;
  return new PrismError("UNAUTHORIZED_ROLE", `This needs the permission ${permission}${more}`, {
    details: [{ code: "UNAUTHORIZED_ROLE", message: `needs the permission ${permission}${more}`, permission }],
  });
}

/** The caller of a route that is not public. */
export function callerOf({ principal }: Exchange): Principal {
  if (!principal) throw new TypeError("the route is public and has no principal");
  return principal;
}

/**
 * The user of a route about the caller's own data, in person or through a service token. @throws
 * FORBIDDEN for an API key and for the operator
 */
export function userOf(exchange: Exchange): UserPrincipal {
  return requireAccount(holderOf(exchange));
}

/** @throws FORBIDDEN for the operator, who has no account */
export function requireAccount(principal: PermissionHolder): UserPrincipal {
  if (principal.kind !== "operator") return principal;
  throw new PrismError("FORBIDDEN", "The operator has no account; name a user or a project, or use that user's token");
}

/** The caller of a route with permissions. @throws FORBIDDEN for an API key */
export function holderOf(exchange: Exchange): PermissionHolder {
  return requireHolder(callerOf(exchange));
}

/** @throws FORBIDDEN for an API key */
export function requireHolder(principal: Principal): PermissionHolder {
  if (principal.kind === "apiKey") throw new PrismError("FORBIDDEN", "API keys cannot be used here");
  return principal;
}

const LOCALHOST = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;
const EXPOSED =
  "ETag, Idempotency-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, " +
  "X-Correlation-Id, X-Request-Id";
const REQUEST_HEADERS =
  "Authorization, Content-Type, Content-Encoding, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, " +
  "X-API-Key, X-Correlation-Id, X-Request-Id";

/** Allowed browser origins (docs/security.md): a list; in development any port of this machine. */
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

  /** Adds the CORS headers of an answer. */
  apply(exchange: Exchange): void {
    const origin = exchange.header("origin");
    if (origin === "") return;
    exchange.extraHeaders += this.allows(origin)
      ? `Access-Control-Allow-Origin: ${origin}\r\nAccess-Control-Allow-Credentials: true\r\n` +
        `Access-Control-Expose-Headers: ${EXPOSED}\r\nVary: Origin\r\n`
      : "Vary: Origin\r\n";
  }

  /** The CORS headers of an answer that any web page may read. */
  static applyAny(exchange: Exchange): void {
    if (exchange.header("origin") === "") return;
    exchange.extraHeaders += "Access-Control-Allow-Origin: *\r\nVary: Origin\r\n";
  }

  /** Answers OPTIONS of any path for any web page. */
  static preflightAny(exchange: Exchange, allowed: readonly string[], headers: string): void {
    exchange.send(204, null, {
      Allow: allowed.join(", "),
      "Access-Control-Allow-Methods": "GET, PUT, POST, PATCH, DELETE",
      "Access-Control-Allow-Headers": headers,
      "Access-Control-Max-Age": "600",
    });
  }

  /** Answers OPTIONS of an existing path. An unlisted origin gets no permission. */
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
