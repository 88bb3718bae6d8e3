import type { Caller } from "../core/caller.ts";
import type { Exchange } from "./exchange.ts";

/** On whose behalf the request's handler runs. */
export function requestCaller(exchange: Exchange): Caller {
  const { principal, requestId, correlationId } = exchange;
  return {
    principal,
    process: "request",
    ip: exchange.clientAddress,
    requestId,
    correlationId,
    isGone: () => exchange.isOver,
  };
}
