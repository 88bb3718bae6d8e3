import type { Feature, FeatureServer } from "../../../module/feature.ts";
import { AuthLimits } from "./auth-limits.ts";
import type { AuthContext, AuthOwn } from "./context.ts";
import { devTokenRoute } from "./dev-token.ts";
import { linkRoutes } from "./link-routes.ts";
import { loginRoutes } from "./login-routes.ts";
import { sessionRoutes } from "./session-routes.ts";

/** How people show who they are (contract 4.4). */
export function authFeature(own: AuthOwn): Feature {
  return {
    name: "auth",
    version: "1.0.0",
    register: (server, { audit, log }) => serve(server, { ...own, audit, log }),
  };
}

function serve(server: FeatureServer, context: AuthContext): void {
  const limits = new AuthLimits(context);
  const routes = [...loginRoutes(context, limits), ...linkRoutes(context, limits), ...sessionRoutes(context)];
  for (const each of routes) server.route(each);
  // Elsewhere there is no such route, for any method.
  if (context.config.env === "development") server.route(devTokenRoute(context));
}
