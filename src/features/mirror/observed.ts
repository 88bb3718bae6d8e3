import { currentCaller, type Principal } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { DAY_MS, type EpochMs, MINUTE_MS } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import { addEffect, rowsOf, type Trx } from "../../store/database.ts";
import type { MirrorObservedTable } from "../../store/schema.ts";
import { type AlertView, fingerprintOf, sortedLabels } from "../alerts/index.ts";
import { AlarmIndex, keysOf, type NamedAlarm, SAME_MS, UNCLEAR } from "./match.ts";
import { Pace } from "./pace.ts";
import type { AlertmanagerWebhook, Observation, ObservedQuery, ObservedReply } from "./schema.ts";

export type ObservedContext = Uses<"db" | "clock" | "projects" | "alerts" | "incidents">;

/** Rows per transaction. */
const ROWS_AT_ONCE = 500;
/** Acts of a request: each is a transaction of its own. */
const MOST_ACTS = 50;
/** A clock may be ahead. */
const AHEAD_MS = 5 * MINUTE_MS;
/** Acts on incidents of mirrors, for people who act in the other system. */
const ACTOR = { id: "mirror", via: "mirror" } as const;

type NewRow = Omit<MirrorObservedTable, "projectId" | "system">;

/**
 * Stores what the other system was seen to do, each observation once. What people have acknowledged or
 * resolved there they have here, too: otherwise later steps would differ.
 * @throws INVALID_STATE if the project is no mirror; STORAGE_LIMIT_REACHED
 */
export async function takeObserved(
  context: ObservedContext,
  caller: Principal,
  body: readonly Observation[] | AlertmanagerWebhook,
  query: ObservedQuery,
): Promise<ObservedReply> {
  const { db, clock, projects } = context;
  if (caller.kind !== "apiKey")
    throw new PrismError("FORBIDDEN", "This takes an API key with the scope mirror:observe");
  const { projectId } = caller;
  if (!projects.isMirror(projectId))
    throw new PrismError("INVALID_STATE", "The project is no mirror (settings.mirror)");
  // Alerts keep their reserve.
  projects.storage.requireRoom(projectId);
  const now = clock.now();
  const isOwn = isList(body);
  const rows = isOwn ? body.map(rowOf) : body.alerts.map((alert) => rowOfAlert(alert, query, now));
  requireTimes(rows, now);
  // Alerts end in both by themselves.
  const acts = isOwn ? rows.filter(({ kind }) => kind !== "notified") : [];
  if (acts.length > MOST_ACTS) throw invalidField("body", "", `must have at most ${MOST_ACTS} acts`);
  currentCaller().charge?.({ rows: acts.length });
  const others = isOwn ? rows.filter(({ kind }) => kind === "notified") : rows;
  const reply = { stored: 0, known: 0, acknowledged: 0, resolved: 0 };
  for (let from = 0; from < others.length; from += ROWS_AT_ONCE)
    reply.stored += await db.write((trx) => insert(trx, projectId, others.slice(from, from + ROWS_AT_ONCE)));
  reply.known = others.length - reply.stored;
  const live = await liveAlarms(context, projectId, acts);
  for (const act of acts.sort((left, right) => left.at - right.at)) {
    const count = await db.write(async (trx) => {
      if ((await insert(trx, projectId, [act])) === 0) return null;
      const id = live.get(act);
      return id === undefined ? 0 : actOn(context, trx, id, act.kind);
    });
    if (count === null) reply.known += 1;
    else {
      reply.stored += 1;
      reply[act.kind === "resolved" ? "resolved" : "acknowledged"] += count;
    }
  }
  return reply;
}

function isList(body: readonly Observation[] | AlertmanagerWebhook): body is readonly Observation[] {
  return Array.isArray(body);
}

function rowOf({ ref, kind, at, key, labels, title, startsAt, person, way }: Observation): NewRow {
  const named = key ?? (labels === undefined ? null : `fp:${fingerprintOf(sortedLabels(labels))}`);
  const alarm = { key: named, title: title ?? null, labels: labels ? JSON.stringify(labels) : null };
  return { ref, kind, at, ...alarm, startsAt: startsAt ?? null, person: person ?? null, way: way ?? null };
}

/** Alertmanager repeats its notices, and says of none when it was: the first of each is stored. */
function rowOfAlert(
  { status, labels, startsAt }: AlertmanagerWebhook["alerts"][number],
  { person, way }: ObservedQuery,
  at: EpochMs,
): NewRow {
  const key = `fp:${fingerprintOf(sortedLabels(labels))}`;
  const kind = status === "firing" ? "notified" : "resolved";
  const ref = [key, startsAt, kind, person ?? way ?? ""].join(" ");
  const alarm = { key, title: null, labels: JSON.stringify(labels), startsAt };
  return { ref, kind, at, ...alarm, person: person ?? null, way: way ?? null };
}

/** @throws VALIDATION_FAILED */
function requireTimes(rows: readonly NewRow[], now: EpochMs): void {
  const refused = rows.findIndex(({ at }) => at > now + AHEAD_MS);
  if (refused !== -1) throw invalidField("body", `${refused}.at`, "must not be in the future");
}

/** @returns how many are new */
async function insert(trx: Trx, projectId: string, rows: readonly NewRow[]): Promise<number> {
  const sql = "select settings ->> '$.mirror.from' system from projects where id = ? and deletedAt is null";
  const [project] = await rowsOf<{ readonly system: string | null }>(trx, sql, [projectId]);
  const system = project?.system ?? null;
  if (system === null) throw new PrismError("INVALID_STATE", "The project is no mirror (settings.mirror)");
  const stored = await trx
    .insertInto("mirror_observed")
    .values(rows.map((row) => ({ ...row, projectId, system })))
    .onConflict((conflict) => conflict.doNothing())
    .returning("ref")
    .execute();
  if (stored.length > 0) addEffect(trx, { type: "texts-changed", projectIds: [projectId] });
  return stored.length;
}

type LiveAlarm = NamedAlarm & { readonly id: string };

/** The ids of the live alerts that are meant. Only those are compared that have one of the names. */
async function liveAlarms({ alerts }: ObservedContext, projectId: string, acts: readonly NewRow[]) {
  const ids = new Map<NewRow, string>();
  const strange: NewRow[] = [];
  for (const act of acts) {
    const alert = act.key === null ? null : alerts.byKey(projectId, act.key);
    if (alert === null) strange.push(act);
    else if (alert.state === "firing" && isSince(act, alert.startsAt)) ids.set(act, alert.id);
  }
  if (strange.length === 0) return ids;
  const sought = strange.map(labelled);
  const keys = new Set(sought.flatMap(({ key }) => key ?? []));
  const names = new Set(sought.flatMap(({ labels }) => labels?.["alertname"] ?? []));
  const titles = new Set(sought.flatMap(({ title }) => title?.toLowerCase() ?? []));
  const found = alerts.list(
    projectId,
    (alert) =>
      names.has(alert.label("alertname")) ||
      keysOf(alert).some((key) => keys.has(key)) ||
      titlesOf(alert).some((title) => titles.has(title.toLowerCase())),
  );
  const pace = new Pace();
  const index = await AlarmIndex.of(
    found.map(
      (alert): LiveAlarm => ({
        ...{ id: alert.id, keys: keysOf(alert), labels: alert.labels, startsAt: alert.startsAt, to: null },
        ...{ titles: titlesOf(alert), from: alert.startsAt, waitMs: DAY_MS },
      }),
    ),
    pace,
  );
  for (const [at, act] of strange.entries()) {
    const alarm = index.find(sought[at] as (typeof sought)[number]);
    if (alarm && alarm !== UNCLEAR && isSince(act, alarm.from)) ids.set(act, alarm.id);
    await pace.turn();
  }
  currentCaller().charge?.({ steps: pace.steps });
  return ids;
}

function titlesOf(alert: AlertView): string[] {
  return [alert.annotations["summary"] ?? "", alert.label("alertname")].filter((title) => title !== "");
}

/** One that is late is of an earlier alarm. */
function isSince({ at }: NewRow, from: EpochMs): boolean {
  return at >= from - SAME_MS;
}

function labelled({ labels, ...act }: NewRow) {
  return { ...act, labels: labels === null ? null : (JSON.parse(labels) as Record<string, string>) };
}

const OPEN = `select i.id, i.state, i.firing from incident_alerts m join incidents i on i.id = m.incidentId
  where m.alertId = ? and m.leftAt is null and i.state <> 'resolved'`;

/** Acknowledges or resolves the incidents of an alert. @returns how many */
async function actOn(
  { alerts, incidents }: ObservedContext,
  trx: Trx,
  alertId: string,
  kind: NewRow["kind"],
): Promise<number> {
  const found = await rowsOf<{ readonly id: string; readonly state: string; readonly firing: number }>(trx, OPEN, [
    alertId,
  ]);
  // The others of its group go on; the incident ends with the last one.
  const isOneOfMany = found.some(({ firing }) => firing > 1);
  if (kind === "resolved" && isOneOfMany) await alerts.resolve(trx, [alertId]);
  const changed = found.filter(({ state, firing }) => (kind === "resolved" ? firing <= 1 : state !== "acknowledged"));
  for (const { id } of changed)
    if (kind === "resolved") await incidents.resolve(id, ACTOR, { trx });
    else await incidents.acknowledge(id, ACTOR, { trx });
  return changed.length;
}
