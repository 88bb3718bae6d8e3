import * as v from "valibot";
import { PrismError } from "../../base/errors.ts";
import { type Route, route } from "../../http/route.ts";
import { object } from "../../http/shapes.ts";
import { DevGate } from "../../services/access/dev-gate.ts";
import { clientOf } from "../../services/accounts/client-of.ts";
import type { CoreServices } from "../../services/module.ts";

/** `GET /dev/token` (D10). The token belongs to a session like any other, so that logging out ends it. */
export function devTokenRoute({ config, users, audit, log, db, system }: CoreServices): Route {
  const gate = new DevGate(config);
  return route({
    method: "GET",
    path: "/dev/token",
    summary: "Development only: an access token of the administrator dev, for callers on this machine",
    tag: "Authentication",
    access: "public",
    query: object({ user: v.optional(v.pipe(v.string(), v.maxLength(128))) }),
    response: v.object({ token: v.string() }),
    errors: ["NOT_FOUND"],
    async handle(exchange, { query }) {
      if (!gate.allows(exchange)) throw noRoute();
      const userId = query.user === undefined ? system.devUserId : users.find(query.user);
      if (!userId) throw noRoute();
      const client = clientOf(exchange);
      const session = await db.write(async (trx) => {
        await audit.record({ action: "dev.token", resourceType: "user", resourceId: userId }, { trx });
        return system.sessions.open(userId, client, trx);
      });
      const { token } = await system.accessTokens.issue(userId, session.id, config.auth.devTokenExpires);
      log.warn({ userId, ip: exchange.clientAddress }, "a development token was issued");
      return { token };
    },
  });
}

/** What a path answers that does not exist: nobody learns that there is a gate. */
function noRoute(): PrismError {
  return new PrismError("NOT_FOUND", "No such route");
}
