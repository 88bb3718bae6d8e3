import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { type Route, route } from "../../../http/route.ts";
import { object } from "../../../http/shapes.ts";
import type { Trx } from "../../../store/database.ts";
import { clientOf } from "../accounts/client-of.ts";
import { DevGate } from "../dev-gate.ts";
import type { AuthContext } from "./context.ts";

/** `GET /dev/token` (D10). The token belongs to a session like any other, so that logging out ends it. */
export function devTokenRoute({ config, dev, audit, log, db, sessions }: AuthContext): Route {
  const { users, accessTokens, devUserId } = dev;
  const gate = new DevGate(config);

  /** An unknown user is made as for a notification, so that a client can connect before its first one. @throws NOT_FOUND */
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
    summary: "Development only: an access token of the administrator dev, for callers on this machine",
    tag: "Authentication",
    access: "public",
    query: object({ user: v.optional(v.pipe(v.string(), v.maxLength(128))) }),
    response: v.object({ token: v.string() }),
    errors: ["NOT_FOUND"],
    async handle(exchange, { query }) {
      if (!gate.allows(exchange)) throw noRoute();
      const client = clientOf(exchange);
      const { userId, sessionId } = await db.write(async (trx) => {
        const userId = await userOf(query.user, trx);
        await audit.record({ action: "dev.token", resourceType: "user", resourceId: userId }, { trx });
        return { userId, sessionId: (await sessions.open(userId, client, trx)).id };
      });
      const { token } = await accessTokens.issue(userId, sessionId, config.auth.devTokenExpires);
      log.warn({ userId, ip: exchange.clientAddress }, "a development token was issued");
      return { token };
    },
  });
}

/** What a path answers that does not exist: nobody learns that there is a gate. */
function noRoute(): PrismError {
  return new PrismError("NOT_FOUND", "No such route");
}
