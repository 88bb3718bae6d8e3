import { SteadyClock } from "../core/due-times.ts";
import { type AlertRow, Alerts, type AlertView, Silences, Withholding } from "../features/alerts/index.ts";
import type { Notifier } from "../features/notifications/index.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** Alerts and what is made of them. */
export interface AlertServices {
  /** The clock of alerts, incidents and silences. */
  readonly clock: SteadyClock;
  readonly alerts: Alerts;
  readonly silences: Silences;
  /** Why an alert is not sent now: silences, inhibition, time intervals. */
  readonly withholding: Withholding;
}

export function openAlerts(base: Base, core: Core, notify: Notifier): AlertServices {
  const { database: db, reader, clock: wall, log, metrics } = base;
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
  core.pipeline.alertLink.connect({
    isLive: (projectId, key) => alerts.byKey(projectId, key) !== null,
    submit: (inputs, options) => alerts.submit(inputs, options),
    signalled: () => alerts.signalled(),
  });
  return { clock, alerts, ...openWithholding(base, core, notify, clock, alerts) };
}

function openWithholding(
  { database: db, reader, clock: wall, log, metrics, audit, settings }: Base,
  { access }: Core,
  notify: Notifier,
  clock: SteadyClock,
  alerts: Alerts,
): Pick<AlertServices, "silences" | "withholding"> {
  const alertsOf = (projectId: string): readonly AlertView[] => alerts.list(projectId);
  const reconsider = (): void => undefined;
  const silences = new Silences({
    db,
    reader,
    wall,
    clock,
    log: log.namespace("alerts"),
    metrics,
    audit,
    notify,
    directory: access.users,
    limits: () => ({ perProject: settings.limits.silencesPerProject, warnHits: settings.silences.warnHits }),
    alertsOf,
    reconsider,
  });
  const routing = { inhibitRules: [], timeIntervals: new Map() };
  const withholding = new Withholding({
    clock,
    routingOf: () => routing,
    silencing: (projectId, alert, now) => silences.silencing(projectId, alert, now),
    alertsOf,
    reconsider,
  });
  return { silences, withholding };
}

/** Builds the memory from the tables, before the server answers. */
export function loadAlerts({ alerts, silences }: AlertServices): void {
  alerts.load();
  silences.load();
}

/** Alerts that a commit has changed. */
export function alertsChanged({ alerts, withholding }: AlertServices, rows: readonly AlertRow[]): void {
  alerts.changed(rows);
  for (const row of rows) {
    const alert = row.state === "firing" ? alerts.find(row.id) : null;
    if (alert) withholding.fired(alert);
    else if (row.state === "resolved") withholding.resolved(row);
  }
}

/** Starts what happens by time. */
export function startAlerts({ alerts, silences }: AlertServices): void {
  alerts.start();
  silences.start();
}

/** Stops it, and stores what only memory has. */
export async function stopAlerts({ alerts, silences }: AlertServices): Promise<void> {
  await silences.stop();
  await alerts.stop();
}
