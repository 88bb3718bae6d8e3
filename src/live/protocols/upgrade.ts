import type { HttpRequest, HttpResponse, us_socket_context_t } from "uWebSockets.js";
import type { Principal } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { BadHead } from "../../http/server/headers.ts";
import type { HttpKernel } from "../../http/server/kernel.ts";
import { type Entrance, PORT } from "../../http/server/live-settings.ts";
import type { Router } from "../../http/server/router.ts";
import type { Connections } from "../connections.ts";

export interface UpgradeParts {
  readonly kernel: HttpKernel;
  readonly router: Router;
  readonly connections: Connections;
  /** Where requests arrive; a port of Prism by default. */
  readonly entrance?: Entrance;
  /** The socket belongs to a face and is served by `serveFaceSocket`. */
  readonly isOfFace?: true;
  /** Where the credential is elsewhere than in requests of Prism: see `HttpKernel.check`. */
  check?(exchange: Exchange): Promise<void> | null;
  /** Whether pages of this origin may open live connections. */
  allowsOrigin(origin: string): boolean;
}

/** Data that a socket keeps of its upgrade request. */
export interface Upgraded<P extends Principal | null = Principal> {
  readonly principal: P;
  readonly address: string;
  /** Requested by `?observe=true`: it does not make its user present. */
  readonly isObserver: boolean;
  /** Id of the upgrade request, as in the log. */
  readonly requestId: string;
}

const SUBPROTOCOL = "prism.v1";
const WEBSOCKET_VERSION = "13";

/** Authenticates the caller before the upgrade; null when the protocol does it later. */
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
 * Handles an upgrade request. Everything is checked first, so that a refusal is an HTTP status and
 * never an open socket.
 * @param prepare returns what the socket starts with; throws a PrismError to refuse
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
  if (parts.isOfFace !== true && kernel.faceOf(req, parts.entrance ?? PORT) !== "") {
    // Left to the sockets of that face.
    req.setYield(true);
    return;
  }
  const exchange = kernel.open(res, req, parts.entrance);
  const refuse = (error: unknown): void => {
    kernel.spendTicket(exchange);
    kernel.fail(exchange, error);
  };
  const dataOf = (): T => {
    const principal = authenticate(kernel, exchange);
    const { clientAddress: address, requestId } = exchange;
    connections.requireRoom(principal, address);
    const isObserver = /(?:^|&)observe=true(?:&|$)/.test(exchange.queryText);
    return prepare(exchange, { principal, address, isObserver, requestId });
  };
  try {
    requireUpgrade(parts, exchange);
    requireOrigin(parts, exchange);
    const check = parts.check ? parts.check(exchange) : kernel.check(exchange, true);
    if (check) {
      const later = (): void => {
        requireRunning(kernel);
        if (!exchange.isOver) exchange.upgradeLater(dataOf(), selectedProtocol(exchange), context);
      };
      check.then(later).catch(refuse);
    } else exchange.upgrade(dataOf(), selectedProtocol(exchange), context);
  } catch (error) {
    refuse(error);
  }
  kernel.leave(exchange);
}

/**
 * The checks of an upgrade that do not depend on its protocol; finds its route. @throws BadHead,
 * NOT_FOUND, SHUTTING_DOWN, UPGRADE_REQUIRED
 */
export function requireUpgrade(parts: Pick<UpgradeParts, "kernel" | "router">, exchange: Exchange): void {
  exchange.refuseBadHead();
  refuseBody(exchange);
  findRoute(parts, exchange);
  requireRunning(parts.kernel);
  requireVersion(exchange);
}

/**
 * The library does not read the body of an upgrade: its bytes would be parsed as frames, although a
 * proxy took them for the body (RFC 9110 section 7.8). @throws BadHead
 */
function refuseBody(exchange: Exchange): void {
  const hasLength = Number(exchange.header("content-length")) !== 0;
  if (hasLength || exchange.header("transfer-encoding") !== "") throw new BadHead("An upgrade has no body");
}

/** Browsers let any page open sockets to any host. @throws ORIGIN_REFUSED for a foreign origin */
export function requireOrigin(parts: Pick<UpgradeParts, "allowsOrigin">, exchange: Exchange): void {
  const origin = exchange.header("origin");
  if (origin !== "" && (exchange.isControl || !parts.allowsOrigin(origin)))
    throw new PrismError("ORIGIN_REFUSED", "This origin may not connect");
}

/** Finds the route of this path, for the log and the path parameters. */
function findRoute({ router }: Pick<UpgradeParts, "router">, exchange: Exchange): void {
  const match = router.find("GET", exchange.path);
  if (!match || "allowed" in match) throw new PrismError("NOT_FOUND", "No such route");
  exchange.mount = match.mount;
  exchange.params = match.params;
}

/** @throws SHUTTING_DOWN, because a new socket would miss the drain */
function requireRunning(kernel: HttpKernel): void {
  if (kernel.requests.isDraining) throw new PrismError("SHUTTING_DOWN", "The server is stopping");
}

/**
 * uWebSockets accepts any request with a key as an upgrade, and speaks one version whatever was
 * requested (RFC 6455 section 4.2.2). @throws UPGRADE_REQUIRED
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
 * Selects the subprotocol by name. A token that the client offers beside it is not echoed (RFC 6455
 * section 4.2.2).
 */
function selectedProtocol(exchange: Exchange): string {
  const offered = exchange.header("sec-websocket-protocol").split(",");
  return offered.some((protocol) => protocol.trim() === SUBPROTOCOL) ? SUBPROTOCOL : "";
}
