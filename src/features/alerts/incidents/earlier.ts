import * as v from "valibot";
import type { Principal } from "../../../core/caller.ts";
import { isUuid } from "../../../core/ids.ts";
import { once } from "../../../core/once.ts";
import { DAY_MS, type EpochMs, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { doc, named } from "../../../http/api/shapes.ts";
import { type ReadDb, rowsOf } from "../../../store/database.ts";
import { userNames } from "../../access/index.ts";
import type { IncidentRow } from "./incident.ts";
import { acknowledgersOf, type IncidentsContext, visibleIncident } from "./requests.ts";
import { lastLog } from "./store.ts";
import { mayRead } from "./view.ts";

/* Whether the same has happened before: read when a person looks at an incident, never at ingest. */

const DAYS = 30;
/** So many of the project's incidents are examined, the newest first. */
const EXAMINED = 5000;
const SHOWN = 5;
/** A person who may read only some of them gets those among the last so many. */
const ASKED_FOR = 20;

export const EarlierIncidents = once(() =>
  named(
    "EarlierIncidents",
    "How often the same happened before an incident, and the last times",
    v.object({
      days: doc(v.number(), `Days before the incident that are examined: ${DAYS}, or as long as incidents are kept`),
      count: doc(v.number(), "Ended incidents of the same policy with the same alert name and group labels"),
      medianMs: doc(v.nullable(v.number()), "Median time from their opening to their end; null: there is none"),
      isCut: doc(v.boolean(), `Only the last ${EXAMINED} incidents of the project are examined: there may be more`),
      last: doc(
        v.array(
          v.object({
            id: v.string(),
            number: v.number(),
            openedAt: v.string(),
            resolvedAt: v.nullable(v.string()),
            resolvedBy: doc(v.nullable(v.string()), "As `resolvedBy` of an incident"),
            resolvedByName: doc(v.nullable(v.string()), "Name of the user who resolved it"),
            acknowledgedBy: v.array(v.object({ userId: v.string(), name: v.nullable(v.string()) })),
            note: doc(v.nullable(v.string()), "The last note of its timeline"),
          }),
        ),
        `The last ${SHOWN} that the caller may read, latest first`,
      ),
    }),
  ),
);
type EarlierIncidents = v.InferOutput<ReturnType<typeof EarlierIncidents>>;

/** By the index `incidents_state`. An incident that moved goes on as another one, which counts. */
const RECENT = `select id, number, policyId, groupLabels, direct, openedAt, resolvedAt, resolvedBy from incidents
  where projectId = ? and state = 'resolved' and openedAt >= ? and openedAt <= ? order by openedAt desc limit ${EXAMINED}`;
const NAME = `(select a.labels ->> '$.alertname' from alerts a
  where a.id = (select min(m.alertId) from incident_alerts m where m.incidentId = recent.id))`;
const SAME = `with recent as materialized (${RECENT})
  select id, number, openedAt, resolvedAt, resolvedBy from recent
  where groupLabels = ? and policyId = ? and id < ? and direct is null and resolvedBy <> 'moved'`;
const SAME_NAME = `${SAME} and ${NAME} is ?`;
const COUNT = `select count(*) as n from (select 1 from incidents
  where projectId = ? and state = 'resolved' and openedAt >= ? and openedAt <= ? limit ${EXAMINED})`;

type Earlier = Pick<IncidentRow, "id" | "number" | "resolvedBy"> & {
  readonly openedAt: EpochMs;
  readonly resolvedAt: EpochMs;
};

/**
 * How often the same happened before.
 * @param keptDays how long ended incidents are kept; 0: for good
 * @throws INCIDENT_NOT_FOUND
 */
export async function earlierThan(
  context: IncidentsContext,
  principal: Principal,
  id: string,
  keptDays: number,
): Promise<EarlierIncidents> {
  const row = await visibleIncident(context, principal, id);
  const days = keptDays === 0 ? DAYS : Math.min(DAYS, keptDays);
  const { scan } = context.db;
  const bounds = [row.projectId, row.openedAt - days * DAY_MS, row.openedAt];
  const same = row.direct === null ? await sameAs(scan, row, bounds) : [];
  const [examined] = await rowsOf<{ n: number }>(scan, COUNT, bounds);
  return {
    days,
    count: same.length,
    medianMs: medianOf(same.map(({ openedAt, resolvedAt }) => resolvedAt - openedAt)),
    isCut: examined?.n === EXAMINED,
    last: await lastOf(context, principal, row, same),
  };
}

async function sameAs(db: ReadDb, row: IncidentRow, bounds: readonly (string | number)[]): Promise<Earlier[]> {
  const { id, policyId, groupLabels } = row;
  const parameters = [...bounds, groupLabels, policyId, id];
  if (Object.hasOwn(JSON.parse(groupLabels) as object, "alertname")) return rowsOf(db, SAME, parameters);
  return rowsOf(db, SAME_NAME, [...parameters, await alertNameOf(db, id)]);
}

/** The name of the first alert: ids of alerts grow with time. */
async function alertNameOf(db: ReadDb, incidentId: string): Promise<string | null> {
  const text = `select labels ->> '$.alertname' as name from alerts
    where id = (select min(alertId) from incident_alerts where incidentId = ?)`;
  const [found] = await rowsOf<{ name: string | null }>(db, text, [incidentId]);
  return found?.name ?? null;
}

async function lastOf(
  { db: { scan }, projects }: IncidentsContext,
  principal: Principal,
  { projectId }: IncidentRow,
  same: readonly Earlier[],
): Promise<EarlierIncidents["last"]> {
  const shown: Earlier[] = [];
  for (const each of same.slice(0, ASKED_FOR)) {
    if (shown.length === SHOWN) break;
    if (await mayRead(projects, scan, principal, { id: each.id, projectId })) shown.push(each);
  }
  const ids = shown.map(({ id }) => id);
  const acknowledgers = await acknowledgersOf(scan, ids);
  const people = shown.flatMap(({ resolvedBy }) => (resolvedBy !== null && isUuid(resolvedBy) ? [resolvedBy] : []));
  const names = await userNames(scan, people);
  const views: EarlierIncidents["last"] = [];
  for (const { id, number, openedAt, resolvedAt, resolvedBy } of shown) {
    const note = await lastLog(scan, id, ["note"]);
    views.push({
      ...{ id, number, openedAt: toRfc3339(openedAt), resolvedAt: toRfc3339OrNull(resolvedAt), resolvedBy },
      resolvedByName: names.get(resolvedBy ?? "")?.name ?? null,
      acknowledgedBy: acknowledgers.get(id) ?? [],
      note: note === undefined ? null : (JSON.parse(note.data) as { readonly text: string }).text,
    });
  }
  return views;
}

function medianOf(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle];
  if (high === undefined) return null;
  return sorted.length % 2 === 1 ? high : Math.round(((sorted[middle - 1] ?? high) + high) / 2);
}
