import { PrismError } from "../../../core/errors.ts";
import type { Exchange } from "../../../http/exchange.ts";

/**
 * A request that a cookie vouches for must come from a page that may send it (contract 12.3; the headers are described in the Fetch standard). The
 * own origin is what the configuration says, never what `Host` claims. Clients that are no browsers send neither header and pass.
 * @throws ORIGIN_REFUSED
 */
export function requireOwnOrigin(exchange: Exchange, allowsOrigin: (origin: string) => boolean): void {
  const origin = exchange.header("origin");
  if (origin !== "") {
    if (allowsOrigin(origin)) return;
    throw originRefused();
  }
  const site = exchange.header("sec-fetch-site");
  if (site === "cross-site" || site === "same-site") throw originRefused();
}

function originRefused(): PrismError {
  return new PrismError("ORIGIN_REFUSED", "Pages of this origin may not use the cookie; list it in cors.origins");
}
