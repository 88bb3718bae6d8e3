import { SteadyClock } from "../core/due-times.ts";
import { Alerts } from "../features/alerts/index.ts";
import type { Base } from "./open-store.ts";

/** Alerts and what is made of them. */
export interface AlertServices {
  /** The clock of alerts, incidents and silences. */
  readonly clock: SteadyClock;
  readonly alerts: Alerts;
}

export function openAlerts({ database: db, reader, clock: wall, log, metrics }: Base): AlertServices {
  const clock = new SteadyClock(wall);
  const alerts = new Alerts({
    db,
    reader,
    wall,
    clock,
    log: log.namespace("alerts"),
    metrics,
    joinIncidents: async () => undefined,
  });
  return { clock, alerts };
}

/** Builds the memory from the tables, before the server answers. */
export function loadAlerts({ alerts }: AlertServices): void {
  alerts.load();
}

/** Starts what happens by time. */
export function startAlerts({ alerts }: AlertServices): void {
  alerts.start();
}

/** Stops it, and stores what only memory has. */
export async function stopAlerts({ alerts }: AlertServices): Promise<void> {
  await alerts.stop();
}
