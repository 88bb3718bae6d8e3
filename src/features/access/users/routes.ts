import type { AppModule } from "../../../app/module.ts";
import { adminRoutes } from "./admin-routes.ts";
import { importRoute } from "./import-route.ts";
import { ownRoutes } from "./own-routes.ts";
import { pusherAuthRoutes, pusherUserAuthRoute } from "./pusher-auth.ts";
import { tokenRoutes } from "./token-routes.ts";
import { unsubscribeRoute } from "./unsubscribe-route.ts";

/** Accounts: one's own, and for administrators everybody's (contract 4.5). */
const users: AppModule = {
  name: "users",
  version: "1.0.0",
  register(server, services) {
    const own = [
      ...ownRoutes(services),
      ...pusherAuthRoutes(services),
      pusherUserAuthRoute(services),
      ...tokenRoutes(services),
    ];
    for (const each of [...own, ...adminRoutes(services), importRoute(services), unsubscribeRoute(services)])
      server.route(each);
  },
};

export default users;
