import type { Feature } from "../../../module/feature.ts";
import { ErrorAlert } from "./error-alert.ts";
import type { AlertsOwn } from "./error-watch.ts";

/** Alerts the people of a project of errors in quick succession. It has no routes. */
export function errorAlertFeature(own: AlertsOwn): Feature {
  const start = (log: ConstructorParameters<typeof ErrorAlert>[0]["log"]): void =>
    new ErrorAlert({ ...own, log }).start();
  return { name: "error-alert", version: "1.0.0", register: (_server, { log }) => start(log) };
}
