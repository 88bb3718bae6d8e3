import type { EpochMs } from "../../../../core/time/clock.ts";
import { later, type Trx } from "../../../../store/database.ts";
import { StoredAlert } from "../../book/alert-book.ts";
import type { LabelRecord } from "../../model/labels.ts";
import type { AlertView } from "../../types.ts";

/*
 * Labels that webhooks have named an alert by before it got others under the same key, or before it moved to another
 * incident. To a receiver of Alertmanager's format these are other alerts: it gets their end.
 */

/** So many are kept for an alert: one that flaps has the same labels again. */
const KEPT = 20;

/** As they were at `at`, when they ended. */
export interface Former {
  readonly fingerprint: string;
  readonly labels: LabelRecord;
  readonly annotations: LabelRecord;
  readonly severity: string | null;
  readonly startsAt: EpochMs;
  readonly at: EpochMs;
  /** The look that reported their end; null: none yet. */
  readonly toldAt: EpochMs | null;
}

/** @param stored the column `former` */
export function formersOf(stored: string | null): readonly Former[] {
  return stored === null ? [] : (JSON.parse(stored) as Former[]);
}

/** @param stored the column `former`. @returns its new value, with the labels that the alert has lost */
export function withFormer(stored: string | null, alert: AlertView, now: EpochMs): string {
  const { fingerprint, labels, annotations, severity, startsAt } = alert;
  const others = formersOf(stored).filter((each) => each.fingerprint !== fingerprint);
  const added: Former = { fingerprint, labels, annotations, severity, startsAt, at: now, toldAt: null };
  return JSON.stringify([...others, added].slice(-KEPT));
}

const TELL = `update incident_alerts set former = (
    select json_group_array(json_set(value, '$.toldAt', coalesce(value ->> '$.toldAt', ?))) from json_each(former))
  where incidentId = ? and former is not null and alertId in (select value from json_each(?))`;

/** The ends of the former labels of these alerts are reported now. */
export function markFormer(trx: Trx, incidentId: string, alertIds: readonly string[], now: EpochMs): void {
  if (alertIds.length > 0) later(trx, TELL, [now, incidentId, JSON.stringify(alertIds)]);
}

/** Labels that the alert `a` has lost, whose end is not reported yet. */
export const HAS_FORMER = `former is not null and exists (select 1 from json_each(former) f
  where f.value ->> 'toldAt' is null and f.value ->> 'fingerprint' <> a.fingerprint)`;

/** The alert as it was: over since it got other labels. */
export function formerView(alert: AlertView, { labels, annotations, ...former }: Omit<Former, "toldAt">): AlertView {
  const { id, projectId, key, generatorUrl, source, sourceId, sender, count } = alert;
  const { fingerprint, severity, startsAt, at } = former;
  return new StoredAlert({
    ...{ id, projectId, key, generatorUrl, source, sourceId, sender, count, fingerprint, severity, startsAt },
    ...{ labels: JSON.stringify(labels), annotations: JSON.stringify(annotations), state: "resolved" },
    ...{ firesAt: null, endsAt: null, isTimeoutEnd: 0, timedOut: 0, lastAt: at, resolvedAt: at },
  });
}
