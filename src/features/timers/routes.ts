import type { AppModule } from "../../app/module.ts";
import { clockRoutes } from "./clock-routes.ts";
import { timerRoutes } from "./timer-routes.ts";

/** What time it is, and what happens later (contract 4.10, 8.6). */
const time: AppModule = {
  name: "time",
  version: "1.0.0",
  register(server, services) {
    for (const route of [...clockRoutes(services), ...timerRoutes(services)]) server.route(route);
  },
};

export default time;
