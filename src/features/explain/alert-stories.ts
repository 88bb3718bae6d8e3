import { toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import type { AlertView, IncidentRow, Withheld } from "../alerts/index.ts";
import { type AlertExplainContext, labelsText, namesOf, textOf } from "./alert-next.ts";
import * as queries from "./alert-queries.ts";
import type { AlertStory, Line } from "./alert-schema.ts";
import { type LogRow, listOf, withheldBy } from "./alert-sentences.ts";

/* The causes of alerts, the routes to their incidents, and the actions of the incidents. */

/** An incident and its timeline. */
export interface IncidentHistory {
  readonly row: IncidentRow;
  readonly timeline: readonly LogRow[];
}

export function policyOf({ alerting: { policies } }: AlertExplainContext, { policyId, policyVersion }: IncidentRow) {
  const { name } = policies.definitionOf({ id: policyId, version: policyVersion });
  return { id: policyId, name, version: policyVersion };
}

export function pathOf({ route }: IncidentRow): string[] {
  return [...(JSON.parse(route) as { path: readonly string[] }).path];
}

export function routeText(
  row: IncidentRow,
  { name, version }: { readonly name: string; readonly version: number },
): string {
  const built = version === 0 ? "built in" : `version ${version}`;
  if (row.direct !== null) return `The policy ${name} (${built}) follows if no one acknowledges it.`;
  // An incident of a silent source has no route.
  if (pathOf(row).length === 0) return `It follows the policy ${name} (${built}) of the incidents of the source.`;
  const matchers = pathOf(row).flatMap((each) => (each === "{}" ? [] : [each.replace(/^\{|\}$/g, "")]));
  const which = matchers.length === 0 ? "root route" : `route of ${matchers.join(" / ")}`;
  return `The ${which} led it to the policy ${name} (${built}).`;
}

/** The causes of alerts, and the actions of their incidents. The number of reads is the same for any number. */
export async function alertStories(
  context: AlertExplainContext,
  alerts: readonly AlertView[],
  incidents: readonly IncidentHistory[],
): Promise<AlertStory[]> {
  const { scan } = context.db;
  const sources = await queries.sourceNames(scan, alerts);
  const ofRules = alerts.flatMap((alert) =>
    alert.source === "rule" && alert.sourceId !== null ? [ruleKey(alert)] : [],
  );
  const matches = await queries.openingMatches(scan, ofRules);
  const linesOf = await incidentLines(context, alerts, incidents);
  return alerts.map((alert) => {
    const { id, state, labels, source, sourceId } = alert;
    const { ruleId, key } = ruleKey(alert);
    const match = source === "rule" ? matches.find((each) => each.ruleId === ruleId && each.key === key) : undefined;
    const cause = match ? `: the event ${match.type} (${match.id}) matched its version ${match.ruleVersion}` : "";
    const name = sourceId === null ? undefined : sources.get(sourceId);
    const text = `${sourceText(alert, name)}${cause}. Labels: ${labelsText(labels)}.`;
    const lines: Line[] = [{ at: toRfc3339(alert.startsAt), kind: "alert", text }, ...linesOf(alert)];
    if (alert.resolvedAt !== null) {
      const how = alert.timedOut ? "is no longer reported: its source did not repeat it" : "was resolved";
      lines.push({ at: toRfc3339(alert.resolvedAt), kind: "alert-resolved", text: `The alert ${how}.` });
    }
    const times = { startsAt: toRfc3339(alert.startsAt), resolvedAt: toRfc3339OrNull(alert.resolvedAt) };
    return { id, state, labels, source, sourceId, eventId: match?.id ?? null, ...times, lines };
  });
}

/** The key of a rule's alert is `rule:<ruleId>:<key>`. */
function ruleKey({ sourceId, key }: AlertView): { readonly ruleId: string; readonly key: string } {
  const ruleId = sourceId ?? "";
  return { ruleId, key: key.slice(`rule:${ruleId}:`.length) };
}

/** Whether incidents notified of an alert, and what silenced, inhibited or muted it. */
async function incidentLines(
  context: AlertExplainContext,
  alerts: readonly AlertView[],
  incidents: readonly IncidentHistory[],
): Promise<(alert: AlertView) => Line[]> {
  const [first] = incidents;
  if (!first || alerts.length === 0) return () => [];
  const { scan } = context.db;
  const [ids, alertIds] = [incidents.map(({ row }) => row.id), alerts.map(({ id }) => id)];
  const members = await queries.membershipsOf(scan, ids, alertIds);
  const hits = await queries.silenceHits(scan, ids, alertIds);
  const held = incidents.flatMap(({ timeline }) => timeline.filter(({ kind }) => kind === "withheld"));
  const names = await namesOf(context, first.row.projectId, held);
  return ({ id }) =>
    incidents.flatMap(({ row, timeline }) => {
      const member = members.find((each) => each.incidentId === row.id && each.alertId === id);
      if (!member) return [];
      const own = hits.filter((each) => each.incidentId === row.id && each.alertId === id);
      const withheld = timeline
        .filter(({ kind, data }) => kind === "withheld" && data.alertIds?.includes(id))
        .slice(-SHOWN_REASONS);
      return [
        { at: toRfc3339(member.addedAt), kind: "route", text: joinedText(context, row) },
        ...withheld.map((each) => {
          const by = textOf(listOf(withheldBy(ofAlert(each, id, own))), names);
          const text = `Incident ${row.number} did not notify of it: ${by}.`;
          return { at: toRfc3339(each.at), kind: each.kind, text };
        }),
        ...(member.firingNotifiedAt === null
          ? []
          : [
              {
                at: toRfc3339(member.firingNotifiedAt),
                kind: "notified",
                text: `Incident ${row.number} counts it as notified.`,
              },
            ]),
      ];
    });
}

/** Lines of an alert about what silenced, inhibited or muted it. */
const SHOWN_REASONS = 5;

function joinedText(context: AlertExplainContext, row: IncidentRow): string {
  return `${routeText(row, policyOf(context, row)).slice(0, -1)}, incident ${row.number}.`;
}

/** The part of a timeline row about one of its alerts. */
function ofAlert(
  { at, data }: LogRow,
  alertId: string,
  hits: readonly { readonly silenceId: string; readonly at: number }[],
): Withheld {
  const silencedBy = (data.silences ?? []).filter((id) => hits.some((hit) => hit.silenceId === id && hit.at <= at));
  return { silencedBy, inhibitedBy: data.inhibited?.[alertId] ?? [], mutedBy: data.intervals ?? [] };
}

/** A source in words. @param name of the rule, heartbeat or integration */
function sourceText({ source }: Pick<AlertView, "source">, name: string | undefined): string {
  const known = name === undefined ? "" : ` ${name}`;
  switch (source) {
    case "rule":
      return `The rule${known} opened it`;
    case "heartbeat":
      return `The heartbeat${known} is down`;
    case "pagerduty":
      return `A client of PagerDuty's API sent it (integration${known})`;
    case "opsgenie":
      return `A client of Opsgenie's API sent it (integration${known})`;
    case "receiver":
      return `A request at the receiver${known} reported it`;
    case "prism":
      return "Its source fell silent";
    case "alertmanager":
      return "A client of Alertmanager's API, such as Prometheus, sent it";
    default:
      return "A client of the native API sent it";
  }
}
