import { PrismError } from "../core/errors.ts";
import type { Principal, UserPrincipal } from "../core/principal.ts";
import type { Exchange } from "./exchange.ts";

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
