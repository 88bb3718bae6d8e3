import type { Feature } from "../../module/feature.ts";
import { Alerts } from "./alerts.ts";
import type { AlertsOwn } from "./error-watch.ts";

/** Alerts the people of a project of errors in quick succession. It has no routes. */
export function burstsFeature(own: AlertsOwn): Feature {
  return { name: "bursts", version: "1.0.0", register: (_server, { log }) => new Alerts({ ...own, log }).start() };
}
