import type { EpochMs } from "../../../../core/time/clock.ts";
import { rowsOf } from "../../../../store/database.ts";
import { type AcceptedSpan, acceptedSpans, type PageRow } from "../../../delivery/index.ts";
import type { PolicyStep } from "../../policies/policy.ts";
import type { AlertView } from "../../types.ts";
import type { IncidentParts } from "../context.ts";
import { type Former, formersOf, formerView, type IncidentRow } from "../incident.ts";
import { calledSteps, type ReportedMember } from "../store.ts";

/* The alerts that a webhook names: also those with other labels, or of another incident, than before. */

interface Reporting {
  readonly step: Extract<PolicyStep, { type: "webhook" }>;
  /** Ends that were decided since then are reported. */
  readonly since: EpochMs;
  readonly page: PageRow;
}

/**
 * One that has moved to another incident has ended with the labels that it had then. Receivers of Alertmanager's format
 * get the end of all labels that they were sent before.
 */
export async function reportedAlerts(
  parts: IncidentParts,
  members: readonly ReportedMember[],
  { step, since, page }: Reporting,
): Promise<AlertView[]> {
  const alerts = await parts.alerts().read(members.map(({ alertId }) => alertId));
  if (members.every(({ leftAt, former }) => leftAt === null && former === null)) return alerts;
  const byId = new Map(members.map((member) => [member.alertId, member]));
  const spans = await acceptedSpans(parts.db.read, page);
  const found: AlertView[] = [];
  for (const alert of alerts) {
    const { leftAt = null, former = null } = byId.get(alert.id) ?? {};
    if (leftAt === null) found.push(alert);
    const known = formersOf(former);
    const isNew = ({ toldAt }: Former): boolean => toldAt === null || toldAt >= since;
    const ended =
      step.format === "alertmanager"
        ? known.filter((each, at) => isNew(each) && wasSent(parts, spans, known[at - 1]?.at ?? 0, each.at))
        : known.slice(leftAt === null ? known.length : -1);
    for (const each of ended)
      if (leftAt === null || !(await firesElsewhere(parts, alert, each, { step, page })))
        found.push(formerView(alert, each));
  }
  return found;
}

/** Whether a post was accepted while the alert had these labels. */
function wasSent({ clock }: IncidentParts, spans: readonly AcceptedSpan[], from: EpochMs, until: EpochMs): boolean {
  return spans.some((span) => clock.fromWall(span.until) > from && clock.fromWall(span.from) <= until);
}

const OTHERS = `select i.id, i.policyId, i.policyVersion from incident_alerts m join incidents i on i.id = m.incidentId
  where m.alertId = ? and m.leftAt is null and i.state <> 'resolved' and i.id <> ?`;

/** With the same labels, in an incident that has called the same webhook, and will tell it the end. */
async function firesElsewhere(
  { db, policies }: IncidentParts,
  alert: AlertView,
  former: Former,
  { step, page }: Pick<Reporting, "step" | "page">,
): Promise<boolean> {
  if (alert.state !== "firing" || alert.fingerprint !== former.fingerprint) return false;
  const others = await rowsOf<Pick<IncidentRow, "id" | "policyId" | "policyVersion">>(db.read, OTHERS, [
    ...[alert.id, page.incidentId],
  ]);
  for (const { id: other, policyId, policyVersion } of others) {
    const { steps } = policies.definitionOf({ id: policyId, version: policyVersion });
    const isSame = (each: PolicyStep | undefined): boolean => each?.type === "webhook" && each.url === step.url;
    if (!steps.some(isSame)) continue;
    const called = await calledSteps(db.read, other, "webhook");
    if (called.some((index) => isSame(steps[index]))) return true;
  }
  return false;
}
