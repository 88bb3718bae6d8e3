import { PrismError } from "../../../core/errors.ts";
import type { Principal, UserPrincipal } from "../../../core/principal.ts";
import type { Exchange } from "../../../http/exchange.ts";
import type { UserStatus } from "../../../store/schema.ts";

/** Who sent a request to a route that is not public. */
export function callerOf({ principal }: Exchange): Principal {
  if (!principal) throw new TypeError("the route is public: nobody is known to have called");
  return principal;
}

/** The user who sent a request, in person or by a service token. @throws FORBIDDEN for an API key */
export function userOf(exchange: Exchange): UserPrincipal {
  const principal = callerOf(exchange);
  if (principal.kind === "apiKey") throw new PrismError("FORBIDDEN", "API keys cannot be used here");
  return principal;
}

/** What is remembered of the client that opened a session. */
export interface ClientInfo {
  readonly ip: string;
  readonly userAgent: string;
}

/** What a session remembers of the client that opened it. @param device how the client calls itself, in place of its user agent. */
export function clientOf(exchange: Exchange, device?: string): ClientInfo {
  return { ip: exchange.clientAddress, userAgent: device ?? exchange.header("user-agent") };
}

/** Why an account that exists may not be used. Said only to who has proven to be its owner. */
export function accountError(status: Exclude<UserStatus, "active">): PrismError {
  switch (status) {
    case "pending":
      return new PrismError("ACCOUNT_PENDING", "The account waits for approval");
    case "unverified":
      return new PrismError("ACCOUNT_UNVERIFIED", "The account's mail address has not been verified");
    case "disabled":
      return new PrismError("ACCOUNT_DISABLED", "The account is disabled");
  }
}
