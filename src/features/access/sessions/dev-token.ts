import * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import { PrismError } from "../../../core/errors.ts";
import { CidrSet } from "../../../core/ip-addresses.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { doc, object } from "../../../http/api/shapes.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { isForwarded } from "../../../http/server/headers.ts";
import type { LiveSettings } from "../../../http/server/live-settings.ts";
import type { Trx } from "../../../store/database.ts";
import type { AuthContext } from "./guards.ts";
import { clientOf, openSession } from "./sessions.ts";

const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * Access to an administrator's token and to metrics without credentials, in development: only for a
 * direct request of a process on this machine. Any sign of a proxy, of a browser page of another
 * origin, or of a rebound host name closes it.
 */
export class DevGate {
  readonly #settings: Pick<LiveSettings, "current">;
  readonly #peers: CidrSet;
  readonly #hosts: ReadonlySet<string>;

  constructor(settings: Pick<LiveSettings, "current">) {
    this.#settings = settings;
    const { auth } = settings.current;
    this.#peers = new CidrSet(auth.devTokenCidrs);
    this.#hosts = new Set(auth.devTokenHosts.map((host) => host.toLowerCase()));
  }

  allows(exchange: Exchange): boolean {
    const host = exchange.header("host").toLowerCase();
    return (
      this.#settings.current.env === "development" &&
      this.#peers.has(exchange.clientAddress) &&
      !isForwarded(exchange) &&
      this.#isOwnHost(host) &&
      this.#isOwnOrigin(exchange.header("origin"), host) &&
      ["", "none", "same-origin"].includes(exchange.header("sec-fetch-site")) &&
      hasLocalPublicUrl(this.#settings.current)
    );
  }

  #isOwnHost(host: string): boolean {
    const name = host.replace(/:\d{1,5}$/, "");
    return LOOPBACK_HOST.test(name) || this.#hosts.has(name);
  }

  /**
   * Only a page of this server is its own origin: other ports of this machine may serve foreign
   * pages. The host has been checked before.
   */
  #isOwnOrigin(origin: string, host: string): boolean {
    return origin === "" || origin === `http://${host}`;
  }
}

/** A server with another host's public name issues no development token, even to this machine. */
export function hasLocalPublicUrl({ publicUrl }: Pick<Config, "publicUrl">): boolean {
  return publicUrl === undefined || LOOPBACK_HOST.test(new URL(publicUrl).hostname);
}

/** `GET /dev/token`. The token belongs to an ordinary session, so logging out ends it. */
export function devTokenRoute({ settings, users, audit, log, db, devUserId, accounts }: AuthContext): Route {
  const { config } = accounts;
  const gate = new DevGate(settings);

  /**
   * Creates an unknown user as for a notification, so that a client can connect before its first
   * one. @throws NOT_FOUND
   */
  async function userOf(ref: string | undefined, trx: Trx): Promise<string> {
    if (ref !== undefined)
      return users.recipient(ref, trx, null, "user").catch(() => {
        throw noRoute();
      });
    if (!devUserId) throw noRoute();
    return devUserId;
  }

  return route({
    method: "GET",
    path: "/dev/token",
    id: "getDevToken",
    summary: "Get an access token of the administrator; only in development and on this machine",
    returns: "The access token",
    tag: "Authentication",
    access: "public",
    query: object({
      user: v.optional(
        doc(v.pipe(v.string(), v.maxLength(128)), "User to act as; created when unknown; default `dev`"),
      ),
    }),
    response: v.object({ token: v.string() }),
    errors: ["NOT_FOUND"],
    async handle(exchange, { query }) {
      if (!gate.allows(exchange)) throw noRoute();
      const client = clientOf(exchange);
      const { userId, sessionId } = await db.write(async (trx) => {
        const userId = await userOf(query.user, trx);
        await audit.record({ action: "dev.token", resourceType: "user", resourceId: userId }, { trx });
        return { userId, sessionId: (await openSession(accounts, userId, client, trx)).id };
      });
      const { token } = await accounts.accessTokens.issue(userId, sessionId, {
        expiresMs: config.auth.devTokenExpires,
      });
      log.warn({ userId, ip: exchange.clientAddress }, "issued a development token");
      return { token };
    },
  });
}

/** The answer of a path that does not exist, so that the gate is not revealed. */
function noRoute(): PrismError {
  return new PrismError("NOT_FOUND", "No such route");
}
