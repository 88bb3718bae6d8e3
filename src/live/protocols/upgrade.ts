import type { HttpRequest, HttpResponse, us_socket_context_t } from "uWebSockets.js";
import { PrismError } from "../../core/errors.ts";
import type { Principal } from "../../core/principal.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { HttpKernel } from "../../http/kernel.ts";
import { BadHead } from "../../http/request-head.ts";
import type { Router } from "../../http/router.ts";
import type { Connections } from "../connections.ts";

export interface UpgradeParts {
  readonly kernel: HttpKernel;
  readonly router: Router;
  readonly connections: Connections;
  /** The requests come by the control socket. */
  readonly isControl?: boolean;
  /** Whether a browser page of this origin may open live connections. */
  allowsOrigin(origin: string): boolean;
}

/** What is left of the request once it is a socket. */
export interface Upgraded<P extends Principal | null = Principal> {
  readonly principal: P;
  readonly address: string;
  /** Asked for by `?observe=true`: it counts as no device of its user. */
  readonly isObserver: boolean;
  /** The upgrade's own; the log has it. */
  readonly requestId: string;
}

const SUBPROTOCOL = "prism.v1";
const WEBSOCKET_VERSION = "13";

/**
 * Who opens a socket, as a protocol learns it: before the upgrade, or null where the caller says it
 * later.
 */
export type Authenticate<P extends Principal | null> = (kernel: HttpKernel, exchange: Exchange) => P;

/** The credential is in the request. @throws UNAUTHENTICATED, TOKEN_EXPIRED … */
export function beforeUpgrade(kernel: HttpKernel, exchange: Exchange): Principal {
  const principal = kernel.authenticate(exchange, true);
  exchange.principal = principal;
  return principal;
}

/**
 * The protocol authenticates by its own messages, if at all; until then the connection is pending.
 */
export function insideProtocol(): null {
  return null;
}

/**
 * Answers an upgrade request: everything is checked before it, so that a refusal is an HTTP status
 * and never an open socket.
 * @param prepare gives what the socket starts with. It may throw a PrismError to refuse.
 */
export function upgrade<T extends object, P extends Principal | null>(
  parts: Omit<UpgradeParts, "connections"> & { readonly connections: Pick<Connections, "requireRoom"> },
  res: HttpResponse,
  req: HttpRequest,
  context: us_socket_context_t,
  authenticate: Authenticate<P>,
  prepare: (exchange: Exchange, upgraded: Upgraded<P>) => T,
): void {
  const { kernel, connections } = parts;
  const exchange = kernel.open(res, req, parts.isControl);
  try {
    exchange.refuseBadHead();
    refuseBody(exchange);
    takeRoute(parts, exchange);
    requireRunning(kernel);
    requireVersion(exchange);
    requireOrigin(parts, exchange);
    const principal = authenticate(kernel, exchange);
    const { clientAddress: address, requestId } = exchange;
    connections.requireRoom(principal, address);
    const isObserver = /(?:^|&)observe=true(?:&|$)/.test(exchange.queryText);
    const upgraded = { principal, address, isObserver, requestId };
    exchange.upgrade(prepare(exchange, upgraded), answeredProtocol(exchange), context);
  } catch (error) {
    kernel.spendTicket(exchange);
    kernel.fail(exchange, error);
  }
  kernel.leave(exchange);
}

/**
 * The library leaves the body of an upgrade where it is: what comes behind the head would be read
 * as frames, though a proxy took it for the request's (RFC 9110 section 7.8). @throws BadHead
 */
function refuseBody(exchange: Exchange): void {
  const hasLength = Number(exchange.header("content-length")) !== 0;
  if (hasLength || exchange.header("transfer-encoding") !== "") throw new BadHead("An upgrade has no body");
}

/**
 * @throws ORIGIN_REFUSED for a page of a foreign origin: browsers let any page open sockets to
 * anywhere.
 */
export function requireOrigin(parts: Pick<UpgradeParts, "allowsOrigin">, exchange: Exchange): void {
  const origin = exchange.header("origin");
  if (origin !== "" && (exchange.isControl || !parts.allowsOrigin(origin)))
    throw new PrismError("ORIGIN_REFUSED", "This origin may not connect");
}

/**
 * The route that a plain request to this path would take: it names the upgrade in the log, and
 * reads the path's parameters.
 */
function takeRoute({ router }: Pick<UpgradeParts, "router">, exchange: Exchange): void {
  const match = router.find("GET", exchange.path);
  if (!match || "allowed" in match) throw new PrismError("NOT_FOUND", "No such route");
  exchange.mount = match.mount;
  exchange.params = match.params;
}

/** @throws SHUTTING_DOWN; a socket opened now would miss that it is told to go. */
function requireRunning(kernel: HttpKernel): void {
  if (kernel.requests.isDraining) throw new PrismError("SHUTTING_DOWN", "The server is stopping");
}

/**
 * uWebSockets takes any request with a key for an upgrade, and speaks one version whatever is asked
 * for (RFC 6455 section 4.2.2). @throws UPGRADE_REQUIRED
 */
function requireVersion(exchange: Exchange): void {
  const upgrades = exchange.header("upgrade").toLowerCase().split(",");
  if (!upgrades.some((protocol) => protocol.trim() === "websocket"))
    throw new PrismError("UPGRADE_REQUIRED", "Send Upgrade: websocket");
  if (exchange.header("sec-websocket-version") === WEBSOCKET_VERSION) return;
  exchange.extraHeaders += `Sec-WebSocket-Version: ${WEBSOCKET_VERSION}\r\n`;
  throw new PrismError("UPGRADE_REQUIRED", `The WebSocket version must be ${WEBSOCKET_VERSION}`);
}

/**
 * Of what the client offers only the name is answered; its token stays unsaid (RFC 6455 section
 * 4.2.2).
 */
function answeredProtocol(exchange: Exchange): string {
  const offered = exchange.header("sec-websocket-protocol").split(",");
  return offered.some((protocol) => protocol.trim() === SUBPROTOCOL) ? SUBPROTOCOL : "";
}
