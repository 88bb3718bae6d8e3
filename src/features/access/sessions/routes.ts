import type { AppModule } from "../../../app/module.ts";
import { AuthLimits } from "./auth-limits.ts";
import { devTokenRoute } from "./dev-token.ts";
import { linkRoutes } from "./link-routes.ts";
import { loginRoutes } from "./login-routes.ts";
import { sessionRoutes } from "./session-routes.ts";

/** How people show who they are (contract 4.4). */
const auth: AppModule = {
  name: "auth",
  version: "1.0.0",
  register(server, services) {
    const limits = new AuthLimits(services);
    const routes = [...loginRoutes(services, limits), ...linkRoutes(services, limits), ...sessionRoutes(services)];
    for (const each of routes) server.route(each);
    // Elsewhere there is no such route, for any method.
    if (services.config.env === "development") server.route(devTokenRoute(services));
  },
};

export default auth;
