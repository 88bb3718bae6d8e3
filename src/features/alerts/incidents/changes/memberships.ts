import type { EpochMs } from "../../../../core/time/clock.ts";
import { later, rowsOf, type Trx } from "../../../../store/database.ts";
import type { StepSettings } from "../../policies/policy.ts";
import type { AlertView } from "../../types.ts";
import {
  type AlertSeverity,
  type Incident,
  type IncidentRow,
  isHigher,
  isMoreUrgent,
  namedSeverity,
  withFormer,
} from "../incident.ts";
import { lookAgain, lookAt, worsened } from "../machine.ts";
import { incidentsById, type LogEntry } from "../store.ts";

/* What follows for an incident when an alert that is in it changes: its severity, its labels or its route. */

/** A firing alert in an unresolved incident, with what was reported of it. */
export interface Membership {
  readonly row: IncidentRow;
  readonly alertId: string;
  readonly firingNotifiedAt: EpochMs | null;
  readonly resolvedNotifiedAt: EpochMs | null;
  /** The highest reported severity, and when that was. */
  readonly severity: AlertSeverity | null;
  readonly severityAt: EpochMs | null;
  readonly leftAt: EpochMs | null;
  readonly former: string | null;
}

const MEMBERSHIPS = `select m.* from json_each(?) e cross join incident_alerts m on m.alertId = e.value
  cross join incidents i on i.id = m.incidentId and i.state <> 'resolved'`;

/** Where these alerts are, also those that have moved on. */
export async function membershipsOf(
  trx: Trx,
  alertIds: readonly string[],
): Promise<ReadonlyMap<string, readonly Membership[]>> {
  type Row = Omit<Membership, "row"> & { readonly incidentId: string };
  const members = await rowsOf<Row>(trx, MEMBERSHIPS, [JSON.stringify(alertIds)]);
  const ids = [...new Set(members.map(({ incidentId }) => incidentId))];
  const rows = new Map((await incidentsById(trx, ids)).map((row) => [row.id, row]));
  const found = new Map<string, Membership[]>();
  for (const member of members) {
    const row = rows.get(member.incidentId);
    if (row) found.set(member.alertId, [...(found.get(member.alertId) ?? []), { ...member, row }]);
  }
  return found;
}

/** Webhooks get an end so long before the other incident is looked at. */
const BEFORE_MS = 1000;

interface Change {
  readonly membership: Membership;
  readonly alert: AlertView;
  /** As it was. */
  readonly before: AlertView;
}

/** Columns of `incident_alerts`, in the order of {@link STORE}. */
type Columns = Pick<
  Membership,
  "alertId" | "firingNotifiedAt" | "resolvedNotifiedAt" | "severity" | "leftAt" | "former"
>;

const STORE = `update incident_alerts set firingNotifiedAt = c.value ->> 1, resolvedNotifiedAt = c.value ->> 2,
  severity = c.value ->> 3, leftAt = c.value ->> 4, former = c.value ->> 5
  from json_each(?) c where incidentId = ? and alertId = c.value ->> 0`;

/** The changes of the alerts of one incident. */
export class Changes {
  /** Alerts that are back before their departure was reported. */
  returned = 0;
  readonly #columns: Columns[] = [];
  #left = 0;
  /** How many alerts went from one severity to another. */
  readonly #severities = new Map<string, { from: AlertSeverity | null; to: AlertSeverity | null; alerts: number }>();

  /** @returns the incident, which is looked at if people or webhooks have to be notified */
  stays(incident: Incident, { membership, alert, before }: Change, settings: StepSettings, now: EpochMs): Incident {
    const { leftAt, resolvedNotifiedAt, firingNotifiedAt, former } = membership;
    if (leftAt !== null) this.returned += 1;
    const [from, to] = [namedSeverity(before), namedSeverity(alert)];
    if (leftAt === null && from !== to) this.#rated(from, to);
    // Its departure was reported: it is a new alert to those who read that.
    const isAnew = leftAt !== null && resolvedNotifiedAt !== null;
    const severity = isAnew ? null : toldAfter(membership, { from, to }, settings, now);
    const isRelabelled = leftAt === null && firingNotifiedAt !== null && before.fingerprint !== alert.fingerprint;
    const isNamed = isRelabelled && hasAlertmanagerHook(settings);
    this.#columns.push({
      alertId: alert.id,
      firingNotifiedAt: isAnew ? null : firingNotifiedAt,
      resolvedNotifiedAt: isAnew ? null : resolvedNotifiedAt,
      severity,
      leftAt: null,
      former: isNamed ? withFormer(former, before, now) : former,
    });
    const looked = isNamed ? lookAgain(incident, settings, now) : incident;
    if (severity === null || !isHigher(to, severity)) return looked;
    return worsened(looked, isMoreUrgent(to, severity), settings, now);
  }

  /**
   * @param firstLookAt the first look at the incident that the alert has moved to; Infinity: none is due
   * @returns the incident: webhooks get the end before the other incident sends them the new labels, and a rise is
   *   reported as that of an alert that stays
   */
  leaves(
    incident: Incident,
    { membership, alert, before, firstLookAt }: Change & { readonly firstLookAt: EpochMs },
    settings: StepSettings,
    now: EpochMs,
  ): Incident {
    const { alertId, firingNotifiedAt, resolvedNotifiedAt, former } = membership;
    this.#left += 1;
    const [from, to] = [namedSeverity(before), namedSeverity(alert)];
    const severity = toldAfter(membership, { from, to }, settings, now);
    const isWorse = firingNotifiedAt !== null && severity !== null && isHigher(to, severity);
    if (isWorse) this.#rated(from, to);
    const looked = isWorse ? worsened(incident, isMoreUrgent(to, severity), settings, now) : incident;
    const isNamed = firingNotifiedAt !== null;
    const left = isNamed ? withFormer(former, before, now) : former;
    this.#columns.push({ alertId, firingNotifiedAt, resolvedNotifiedAt, severity, leftAt: now, former: left });
    // With the same labels it goes on, if the other incident calls the same webhook.
    const isRelabelled = isNamed && before.fingerprint !== alert.fingerprint;
    const isTold = isRelabelled && hasAlertmanagerHook(settings) && firstLookAt < Number.POSITIVE_INFINITY;
    return isTold ? lookAt(looked, Math.max(now, firstLookAt - BEFORE_MS)) : looked;
  }

  #rated(from: AlertSeverity | null, to: AlertSeverity | null): void {
    const key = `${from} ${to}`;
    const known = this.#severities.get(key) ?? { from, to, alerts: 0 };
    this.#severities.set(key, { ...known, alerts: known.alerts + 1 });
  }

  /** Rows of the timeline. */
  entries(firing: number): LogEntry[] {
    const rated = Array.from(this.#severities.values(), (data) => ({
      kind: isHigher(data.to, data.from) ? "severity-raised" : "severity-fell",
      data,
    }));
    return this.#left === 0 ? rated : [...rated, { kind: "alerts-moved", data: { alerts: this.#left, firing } }];
  }

  store(trx: Trx, incidentId: string): void {
    if (this.#columns.length === 0) return;
    const values = this.#columns.map((each) => [
      ...[each.alertId, each.firingNotifiedAt, each.resolvedNotifiedAt],
      ...[each.severity, each.leftAt, each.former],
    ]);
    later(trx, STORE, [JSON.stringify(values), incidentId]);
  }
}

/**
 * The highest severity that counts as reported: the same is reported again if that was a repetition ago, and the
 * alert was less severe meanwhile.
 */
function toldAfter(
  { severity, severityAt }: Membership,
  { from, to }: { readonly from: AlertSeverity | null; readonly to: AlertSeverity | null },
  { repeatMs }: StepSettings,
  now: EpochMs,
): AlertSeverity | null {
  const isTold = severity !== null && isHigher(to, from) && !isHigher(to, severity);
  const isLongAgo = severityAt !== null && severityAt + repeatMs <= now;
  return isTold && isLongAgo ? (from ?? "info") : severity;
}

function hasAlertmanagerHook({ steps }: StepSettings): boolean {
  return steps.some((step) => step.type === "webhook" && step.format === "alertmanager");
}
