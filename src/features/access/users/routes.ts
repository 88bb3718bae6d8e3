import type { Feature, FeatureServer } from "../../../module/feature.ts";
import { adminRoutes } from "./admin-routes.ts";
import type { UsersContext, UsersOwn } from "./context.ts";
import { importRoute } from "./import-route.ts";
import { ownRoutes } from "./own-routes.ts";
import { pusherAuthRoutes, pusherUserAuthRoute } from "./pusher-auth.ts";
import { tokenRoutes } from "./token-routes.ts";
import { unsubscribeRoute } from "./unsubscribe-route.ts";

/** Accounts: one's own, and for administrators everybody's (contract 4.5). */
export function usersFeature(own: UsersOwn): Feature {
  return { name: "users", version: "1.0.0", register: (server, { audit }) => serve(server, { ...own, audit }) };
}

function serve(server: FeatureServer, context: UsersContext): void {
  const own = [
    ...ownRoutes(context),
    ...pusherAuthRoutes(context),
    pusherUserAuthRoute(context),
    ...tokenRoutes(context),
  ];
  for (const each of [...own, ...adminRoutes(context), importRoute(context), unsubscribeRoute(context)])
    server.route(each);
}
