import type { Spec } from "../../../module/config-kind.ts";
import { type ReadDb, rowsOf } from "../../../store/database.ts";
import {
  candidatesOf,
  type Forecast,
  type ForecastParts,
  forecastOf,
  type IncidentRow,
  isWithheld,
  type RouteSettings,
  staysIn,
  tryAlert,
} from "../../alerts/index.ts";
import type { Compared } from "./compare.ts";
import { namesOf } from "./history.ts";
import { forecastSides, type PlannedState } from "./planned-state.ts";
import type { ConfigurationContext, ReadRequest } from "./reading.ts";
import type { OpenIncident } from "./schema.ts";

/* What an apply does to incidents that are open: changed routes move their alerts, others end or begin to withhold them. */

const MAX_INCIDENTS = 1000;
const MAX_LISTED = 100;

const OPEN = `select i.* from json_each(?) p cross join incidents i on i.projectId = p.value and i.state in ('open', 'acknowledged')
  where i.direct is null order by i.openedAt, i.id limit ?`;
const MEMBERS = "select alertId from incident_alerts where incidentId = ? and leftAt is null";

interface Found extends Omit<OpenIncident, "project" | "people"> {
  readonly projectId: string;
  readonly users: readonly string[];
}

export async function openIncidentsOf(
  context: ConfigurationContext,
  reading: ReadRequest,
  compared: Compared,
  state: PlannedState,
): Promise<OpenIncident[]> {
  const { begun, ended } = mirrorsOf(compared);
  const touched = new Set([...state.alerting.keys(), ...ended.keys(), ...begun.keys()]);
  const readable = [...touched].filter((id) => context.projects.has(reading.caller, id, "events:read"));
  const rows = await openIn(context.db.scan, readable);
  if (rows.length === 0) return [];
  const sides = await forecastSides(context, reading, compared, state);
  const after = sides.after((projectId) => context.alerts.list(projectId), context.silences);
  const routed = new Set(
    compared.steps.flatMap(({ kind, projectId }) => (kind.kind === "routes" ? (projectId ?? []) : [])),
  );
  const found: Found[] = [];
  for (const row of rows) {
    const change =
      (begun.has(row.projectId) && BEGINS) ||
      (ended.has(row.projectId) && (await pagedNow(after, row))) ||
      (routed.has(row.projectId) && (await routedAgain(context, after, row))) ||
      (isUnreached(row) ? { effect: "asks-again" as const, policy: null, users: [], pages: false } : undefined);
    if (change) found.push({ projectId: row.projectId, id: row.id, number: row.number, ...change });
  }
  const nameOf = await namesOf(
    context,
    reading,
    found.flatMap(({ users }) => users),
  );
  return found.slice(0, MAX_LISTED).map(({ projectId, users, ...each }) => ({
    project: reading.slugs.get(projectId) ?? ended.get(projectId) ?? projectId,
    ...each,
    people: users.map(nameOf).sort(),
  }));
}

function openIn(db: ReadDb, projectIds: readonly string[]): Promise<IncidentRow[]> {
  return rowsOf<IncidentRow>(db, OPEN, [JSON.stringify(projectIds), MAX_INCIDENTS]);
}

/** Slugs by id of projects that become mirrors, and of those that are none any more. */
function mirrorsOf({ steps }: Compared) {
  const isMirror = (spec: Spec | undefined): boolean =>
    (spec?.["settings"] as { mirror?: object } | undefined)?.mirror != null;
  const of = (was: boolean, is: boolean): ReadonlyMap<string, string> =>
    new Map(
      steps.flatMap(({ kind, stored, spec, id, name }) =>
        kind.kind === "projects" && isMirror(stored?.spec) === was && isMirror(spec) === is
          ? [[id, name] as const]
          : [],
      ),
    );
  return { begun: of(false, true), ended: of(true, false) };
}

const BEGINS: Change = { effect: "mirror-begins", policy: null, users: [], pages: false };

/** People hear of an open incident at least when it ends. */
async function pagedNow(after: ForecastParts, row: IncidentRow): Promise<Change> {
  const { users } = await firstOf(after, row.projectId, await forecastOf(after, row));
  return { effect: "mirror-ends", policy: null, users, pages: true };
}

/** A change of policies, routes or schedules lets those ask their targets again that reached no one. */
function isUnreached({ state, reachedAt, steppedAt, snoozedUntil }: IncidentRow): boolean {
  return state === "open" && reachedAt === null && steppedAt !== null && snoozedUntil === null;
}

type Change = Pick<Found, "effect" | "policy" | "users" | "pages">;

/** What changed routes do to an incident; undefined: nothing. */
async function routedAgain(
  context: ConfigurationContext,
  after: ForecastParts,
  row: IncidentRow,
): Promise<Change | undefined> {
  const { alerts, withholding, steadyClock } = context;
  const { projectId, route } = row;
  const settings = JSON.parse(route) as RouteSettings;
  if (settings.silentSource !== undefined) return undefined;
  const members = await rowsOf<{ readonly alertId: string }>(context.db.scan, MEMBERS, [row.id]);
  const firing = members.flatMap(({ alertId }) => alerts.find(alertId) ?? []).filter(({ state }) => state === "firing");
  const moved = firing.find((alert) => alert.source !== "prism" && !staysIn(after.policies, alert, row));
  if (moved) {
    const [trial] = await tryAlert(after, moved);
    if (!trial) return undefined;
    const { users, isSent } = await firstOf(after, projectId, trial.actions);
    return { effect: "moves", policy: trial.policy.name, users, pages: isSent };
  }
  const now = steadyClock.now();
  const of = { projectId, ...settings };
  const was = firing.every((alert) => isWithheld(withholding.withheldBy(alert, of, now)));
  const is = firing.every((alert) => isWithheld(after.withheldBy(alert, of, now)));
  if (firing.length === 0 || was === is) return undefined;
  if (is) return { effect: "withheld", policy: null, users: [], pages: false };
  const { users, isSent } = await firstOf(after, projectId, await forecastOf(after, row));
  return { effect: "begins", policy: null, users, pages: isSent };
}

/** Whom the next page goes to, and whether anything is sent. */
async function firstOf(parts: ForecastParts, projectId: string, actions: readonly Forecast[]) {
  let isSent = false;
  for (const { at, action } of actions) {
    isSent ||= action.kind === "channel" || action.kind === "webhook";
    if (action.kind !== "page") continue;
    const { users } = await candidatesOf(parts, parts.db, projectId, action.notify, at);
    if (users.length > 0) return { users, isSent: true };
  }
  return { users: [], isSent };
}
