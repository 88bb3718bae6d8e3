import type { Feature } from "../../../module/feature.ts";
import { adminRoutes } from "./admin-routes.ts";
import { importRoute } from "./import-route.ts";
import { type OwnAccountParts, ownRoutes } from "./own-routes.ts";
import { type PusherAuthParts, pusherAuthRoutes, pusherUserAuthRoute } from "./pusher-auth.ts";
import type { UserAdminParts } from "./service.ts";
import { tokenRoutes } from "./token-routes.ts";
import { unsubscribeRoute } from "./unsubscribe-route.ts";

/** What the routes of one's own account, of Pusher's clients and of administrators need. */
export interface UsersOwn {
  readonly account: OwnAccountParts;
  readonly pusher: PusherAuthParts;
  readonly admin: UserAdminParts;
}

/** Accounts: one's own, and for administrators all. */
export function usersFeature({ account, pusher, admin }: UsersOwn): Feature {
  return {
    name: "users",
    version: "1.0.0",
    register(server, { audit }) {
      for (const each of [
        ...ownRoutes(account),
        ...pusherAuthRoutes(pusher),
        pusherUserAuthRoute(pusher),
        ...tokenRoutes(admin),
        ...adminRoutes(admin),
        importRoute(admin, audit),
        unsubscribeRoute(admin, audit),
      ])
        server.route(each);
    },
  };
}
