import { PrismError } from "../../../core/errors.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { parseQuery } from "../../../http/input.ts";
import type { EngineQuery } from "./engine-http.ts";

const PROTOCOL = "4";

/** What Engine.IO needs of the query of a request. @throws VALIDATION_FAILED for another protocol or transport than the request's */
export function readEngineQuery(exchange: Exchange, transport: EngineQuery["transport"]): EngineQuery {
  const query = parseQuery(exchange.queryText);
  if (query["EIO"] !== PROTOCOL)
    throw queryRefused("EIO", "must be 4: this is Engine.IO 4, which Socket.IO 3 and 4 speak");
  if (query["transport"] !== transport) throw queryRefused("transport", `must be ${transport} for such a request`);
  return { EIO: PROTOCOL, transport, sid: query["sid"] };
}

/** A request that Engine.IO knows no answer to. */
export function queryRefused(path: string, message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The query is not valid", { details: [{ path, code: "VALUE", message }] });
}
