import * as v from "valibot";
import { PrismError } from "../../base/errors.ts";
import { route } from "../../http/route.ts";
import { object } from "../../http/shapes.ts";
import { DevGate } from "../../services/dev-gate.ts";
import type { AppModule } from "../../services/module.ts";

/** Where tokens come from (contract 4.4). In this version: `/dev/token`; service tokens are made by `prism token create`. */
const auth: AppModule = {
  name: "auth",
  version: "1.0.0",
  register(server, { config, users, audit, log, system }) {
    // Elsewhere there is no such route, for any method.
    if (config.env !== "development") return;
    const gate = new DevGate(config);
    server.route(
      route({
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
          const { token } = await system.accessTokens.issue(userId);
          log.warn({ userId, ip: exchange.clientAddress }, "a development token was issued");
          await audit.record({ action: "dev.token", resourceType: "user", resourceId: userId });
          return { token };
        },
      }),
    );
  },
};

/** What a path answers that does not exist: nobody learns that there is a gate. */
function noRoute(): PrismError {
  return new PrismError("NOT_FOUND", "No such route");
}

export default auth;
