import { sql } from "kysely";
import type { PermissionHolder, Principal } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { cursorOf, type PageRequest, pageBody, readPage } from "../../../http/api/shapes.ts";
import type { Context } from "../../../module/feature.ts";
import type { ReadDb } from "../../../store/database.ts";
import { namedSeverity, SEVERITIES } from "../incidents/incident.ts";
import { mayReadAlert } from "../incidents/view.ts";
import { fingerprintOf, sortedLabels } from "../model/labels.ts";
import { parseMatchers } from "../model/matchers.ts";
import { compileMatchers, preparePatterns } from "../model/matching.ts";
import { isWithheld } from "../silences/withholding.ts";
import type { AlertInput, AlertRow, AlertView } from "../types.ts";
import { StoredAlert } from "./alert-book.ts";
import type { ListAlerts, PostAlerts, PostedAlert } from "./schema.ts";
import { reporterOf } from "./senders.ts";

export type AlertsContext = Context<"projects" | "alerts" | "withheldBy">;

const DEFAULT_LIMIT = 100;
/** Rows of the table that one request examines: a rare label is found by following the cursor. */
const MAX_EXAMINED = 5000;
export const SLICE_ROWS = 500;

/** A page of alerts. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, INVALID_CURSOR */
export async function listAlerts(context: AlertsContext, principal: Principal, query: ListAlerts) {
  const { alerts, projects } = context;
  const projectId = projects.requireOrDefault(principal, query.projectId, "events:read");
  const bySeverity = query.order === "severity";
  if (bySeverity && query.state === "resolved")
    throw invalidField("query", "order", "resolved alerts are listed by their end");
  const request = readPage(query, bySeverity ? ["number", "number", "string"] : ["number", "string"], DEFAULT_LIMIT);
  const isWanted = await filterOf(query);
  if (query.state === "resolved") return resolvedPage(context.db.scan, projectId, query, request, isWanted);
  const live = query.state === "pending" ? alerts.pending(projectId, isWanted) : alerts.list(projectId, isWanted);
  const view = (alert: AlertView) => liveView(context, alert);
  const position = bySeverity ? severityPosition : latestPosition;
  return pageBody(request, firstOf(live, request, position), view, position);
}

/** @throws ALERT_NOT_FOUND */
export async function getAlert(context: AlertsContext, principal: Principal, id: string) {
  const alert = await readableAlert(context, principal, id);
  const incidents = await context.db.read
    .selectFrom("incident_alerts as m")
    .innerJoin("incidents as i", "i.id", "m.incidentId")
    .select(["i.id", "i.number", "i.title", "i.state", "i.resolvedBy"])
    .where("m.alertId", "=", alert.id)
    .execute();
  return { ...liveView(context, alert), incidents };
}

/** Takes alerts of the native API. @throws VALIDATION_FAILED if none is valid */
export async function postAlerts({ alerts, clock, projects }: AlertsContext, principal: Principal, body: PostAlerts) {
  const projectId = projects.requireOrDefault(principal, body.projectId, "events:write");
  const now = clock.now();
  const reporter = reporterOf(projects, principal, projectId);
  const outcomes = await alerts.submit(
    body.alerts.map((posted) => ({ ...inputOf(posted, projectId, now), ...reporter })),
  );
  const [first] = outcomes;
  if (first?.status === "refused" && outcomes.every(({ status }) => status === "refused")) throw first.error;
  return {
    data: outcomes.map((outcome) => ({
      status: outcome.status,
      id: outcome.alert?.id ?? null,
      fingerprint: outcome.alert?.fingerprint ?? null,
      error: outcome.status === "refused" ? outcome.error.message : null,
    })),
  };
}

/** Sources that go on reporting an alert that a person resolves: it would open again. */
const RESOLVES_ITSELF: ReadonlySet<string> = new Set(["alertmanager", "heartbeat"]);

/** @throws ALERT_NOT_FOUND, INVALID_STATE for an alert that only its source resolves */
export async function resolveAlert(context: AlertsContext, principal: PermissionHolder, id: string) {
  const { db, alerts, audit } = context;
  const alert = await readableAlert(context, principal, id);
  context.projects.require(principal, alert.projectId, "incidents:act");
  if (alert.state === "resolved") return alertView(alert);
  if (RESOLVES_ITSELF.has(alert.source))
    throw new PrismError("INVALID_STATE", `Its source resolves this alert; silence it or resolve its incident instead`);
  const [ended] = await db.write(async (trx) => {
    const ended = await alerts.resolve(trx, [alert.id]);
    if (ended.length > 0)
      await audit.record({ action: "alert.resolve", resourceType: "alert", resourceId: alert.id }, { trx });
    return ended;
  });
  if (!ended) throw new PrismError("INVALID_STATE", "The alert is not firing");
  return alertView(ended);
}

/** Also of a user who was notified of an incident with it. @throws ALERT_NOT_FOUND */
async function readableAlert(
  { alerts, db, projects }: AlertsContext,
  principal: Principal,
  id: string,
): Promise<AlertView> {
  const [alert] = isUuid(id) ? await alerts.read([id]) : [];
  if (alert && (await mayReadAlert(projects, db.read, principal, alert))) return alert;
  if (alert && projects.has(principal, alert.projectId, "project:read"))
    projects.require(principal, alert.projectId, "events:read");
  throw new PrismError("ALERT_NOT_FOUND", "No such alert");
}

function inputOf(posted: PostedAlert, projectId: string, now: number): AlertInput {
  const { labels = {}, annotations, severity, generatorUrl, startsAt } = posted;
  const endsAt = posted.status === "resolved" ? Math.min(posted.endsAt ?? now, now) : (posted.endsAt ?? null);
  return {
    projectId,
    source: "api",
    sourceId: null,
    key: `api:${posted.key ?? fingerprintOf(sortedLabels(labels))}`,
    labels,
    ...(annotations && { annotations }),
    ...(severity !== undefined && { severity }),
    ...(generatorUrl !== undefined && { generatorUrl }),
    ...(startsAt !== undefined && { startsAt }),
    endsAt,
    resolvesAtOnce: posted.status === "resolved",
  };
}

type Filter = (alert: AlertView) => boolean;

export async function filterOf({ state, matcher, source, severity, q, from, to }: ListAlerts): Promise<Filter> {
  const tests: Filter[] = [];
  if (source) tests.push((alert) => source.includes(alert.source));
  if (severity) tests.push((alert) => alert.severity !== null && severity.includes(alert.severity));
  const timeOf = (alert: AlertView): number => (state === "resolved" ? (alert.resolvedAt ?? 0) : alert.startsAt);
  if (from !== undefined) tests.push((alert) => timeOf(alert) >= from);
  if (to !== undefined) tests.push((alert) => timeOf(alert) < to);
  if (matcher !== undefined) {
    const matchers = parseMatchers(matcher);
    const matches = compileMatchers(matchers, await preparePatterns(matchers));
    tests.push((alert) => matches(alert.labelSet));
  }
  if (q !== undefined) tests.push(holdsText(q.toLowerCase()));
  return (alert) => tests.every((test) => test(alert));
}

function holdsText(wanted: string): Filter {
  const holds = (text: string): boolean => text.toLowerCase().includes(wanted);
  return (alert) => alert.labelSet.some(holds) || Object.values(alert.annotations).some(holds);
}

/** Where an alert is in a list: higher positions come first. The id orders those of one instant. */
type Position = (alert: AlertView) => readonly (string | number)[];

const latestPosition: Position = ({ startsAt, id }) => [startsAt, id];

const severityPosition: Position = (alert) => {
  const severity = namedSeverity(alert);
  return [severity === null ? -SEVERITIES.length : -SEVERITIES.indexOf(severity), alert.startsAt, alert.id];
};

function isBelow(position: readonly (string | number)[], other: readonly (string | number)[]): boolean {
  const at = position.findIndex((value, index) => value !== other[index]);
  return at !== -1 && (position[at] ?? "") < (other[at] ?? "");
}

/** One more than the page. Sorting all would take 0.1 s for 100 000. */
function firstOf(alerts: readonly AlertView[], { limit, after }: PageRequest, of: Position): readonly AlertView[] {
  const first: AlertView[] = [];
  for (const alert of alerts) {
    const position = of(alert);
    if (after && !isBelow(position, after)) continue;
    const last = first[limit];
    if (last && isBelow(position, of(last))) continue;
    insertSorted(first, alert, of);
    if (first.length > limit + 1) first.pop();
  }
  return first;
}

function insertSorted(sorted: AlertView[], alert: AlertView, of: Position): void {
  const position = of(alert);
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = sorted[middle];
    if (other && isBelow(position, of(other))) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, alert);
}

async function resolvedPage(
  scan: ReadDb,
  projectId: string,
  query: ListAlerts,
  request: PageRequest,
  isWanted: Filter,
) {
  const found: AlertView[] = [];
  let after = request.after;
  let examined = 0;
  let isEnd = false;
  while (!isEnd && found.length <= request.limit && examined < MAX_EXAMINED) {
    const rows = await resolvedRows(scan, projectId, query, after);
    examined += rows.length;
    isEnd = rows.length < SLICE_ROWS;
    found.push(...rows.map((row) => new StoredAlert(row)).filter(isWanted));
    const last = rows.at(-1);
    if (last) after = [last.resolvedAt ?? 0, last.id];
  }
  const position = (alert: AlertView) => [alert.resolvedAt ?? 0, alert.id];
  const page = pageBody(request, found, alertView, position);
  // Examined enough: the next page continues from there, whether any was found or not.
  const isUnfinished = !isEnd && page.nextCursor === null && after !== null;
  return isUnfinished ? { ...page, nextCursor: cursorOf(after ?? []) } : page;
}

/** Resolved alerts of a project by their end, the latest first: a slice of them. */
export function resolvedRows(
  scan: ReadDb,
  projectId: string,
  { from, to }: Pick<ListAlerts, "from" | "to">,
  after: PageRequest["after"],
): Promise<AlertRow[]> {
  let query = scan
    .selectFrom("alerts")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("state", "=", sql.lit("resolved"));
  if (from !== undefined) query = query.where("resolvedAt", ">=", from);
  if (to !== undefined) query = query.where("resolvedAt", "<", to);
  if (after) query = query.where(sql<boolean>`("resolvedAt", "id") < (${after[0]}, ${after[1]})`);
  return query.orderBy("resolvedAt", "desc").orderBy("id", "desc").limit(SLICE_ROWS).execute();
}

/** With what withholds it. */
function liveView({ withheldBy }: AlertsContext, alert: AlertView) {
  return { ...alertView(alert), withheld: withheldNow(withheldBy, alert) };
}

/** Silences, alerts and intervals that apply to an alert now; null: none, or it is not firing. */
export function withheldNow(withheldBy: AlertsContext["withheldBy"], alert: AlertView) {
  if (alert.state !== "firing") return null;
  const withheld = withheldBy(alert);
  if (!isWithheld(withheld)) return null;
  const { silencedBy, inhibitedBy, mutedBy } = withheld;
  return { silencedBy, inhibitedBy, mutedBy };
}

function alertView(alert: AlertView) {
  return {
    id: alert.id,
    projectId: alert.projectId,
    key: alert.key,
    fingerprint: alert.fingerprint,
    state: alert.state,
    labels: alert.labels,
    annotations: alert.annotations,
    severity: alert.severity,
    source: alert.source,
    sourceId: alert.sourceId,
    generatorUrl: alert.generatorUrl,
    startsAt: toRfc3339(alert.startsAt),
    endsAt: toRfc3339OrNull(alert.endsAt),
    lastAt: toRfc3339(alert.lastAt),
    count: alert.count,
    resolvedAt: toRfc3339OrNull(alert.resolvedAt),
    timedOut: alert.timedOut,
    withheld: null,
  };
}
