import type { AppModule } from "../../app/module.ts";
import { Alerts } from "./alerts.ts";

/** Tells the people of a project of errors in quick succession (contract 7, Alert mail; S1's alert worker). It has no routes. */
const alerts: AppModule = {
  name: "alerts",
  version: "1.0.0",
  register(_server, services) {
    new Alerts(services).start();
  },
};

export default alerts;
