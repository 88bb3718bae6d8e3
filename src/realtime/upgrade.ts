import type { HttpRequest, HttpResponse, us_socket_context_t } from "uWebSockets.js";
import { PrismError } from "../base/errors.ts";
import type { Principal } from "../base/principal.ts";
import type { Exchange } from "../http/exchange.ts";
import type { HttpKernel } from "../http/kernel.ts";
import type { Connections } from "./connections.ts";

export interface UpgradeParts {
  readonly kernel: HttpKernel;
  readonly connections: Connections;
  /** Whether a browser page of this origin may open live connections. */
  allowsOrigin(origin: string): boolean;
}

export const SUBPROTOCOL = "prism.v1";

/**
 * Answers an upgrade request: everything is checked before it, so that a refusal is an HTTP status and never an open socket.
 * @param prepare gives what the socket starts with. It may throw a PrismError to refuse.
 */
export function upgrade<T extends object>(
  parts: UpgradeParts,
  res: HttpResponse,
  req: HttpRequest,
  context: us_socket_context_t,
  prepare: (exchange: Exchange, principal: Principal) => T,
): void {
  const { kernel } = parts;
  // Parameters of the route are only readable now.
  const parameter = req.getParameter(0);
  const exchange = kernel.open(res, req);
  exchange.params = { id: parameter ?? "" };
  const finish = (principal: Principal): void => {
    try {
      if (exchange.isOver) return;
      exchange.principal = principal;
      parts.connections.requireRoom(principal, exchange.clientAddress);
      exchange.upgrade(prepare(exchange, principal), answeredProtocol(exchange), context);
    } catch (error) {
      kernel.fail(exchange, error);
    }
  };
  try {
    exchange.refuseBadHead();
    if (kernel.isDraining) throw new PrismError("SHUTTING_DOWN", "The server is stopping");
    requireOrigin(parts, exchange);
    const principal = kernel.authenticate(exchange, true);
    if (principal instanceof Promise) principal.then(finish, (error: unknown) => kernel.fail(exchange, error));
    else finish(principal);
  } catch (error) {
    kernel.fail(exchange, error);
  }
  kernel.leave(exchange);
}

/** @throws ORIGIN_REFUSED for a page of a foreign origin: browsers let any page open sockets to anywhere. */
export function requireOrigin(parts: Pick<UpgradeParts, "allowsOrigin">, exchange: Exchange): void {
  const origin = exchange.header("origin");
  if (origin !== "" && !parts.allowsOrigin(origin))
    throw new PrismError("ORIGIN_REFUSED", "This origin may not connect");
}

/** Of what the client offers only the name is answered; its token stays unsaid (RFC 6455 section 4.2.2). */
function answeredProtocol(exchange: Exchange): string {
  const offered = exchange.header("sec-websocket-protocol").split(",");
  return offered.some((protocol) => protocol.trim() === SUBPROTOCOL) ? SUBPROTOCOL : "";
}
