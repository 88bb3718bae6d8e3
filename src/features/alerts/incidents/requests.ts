import { sql } from "kysely";
import * as v from "valibot";
import type { PermissionHolder, Principal } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import {
  doc,
  instant,
  object,
  pageBody,
  pageEntries,
  queryBoolean,
  queryInteger,
  queryList,
  readPage,
  text,
  uuid,
} from "../../../http/api/shapes.ts";
import { missingPermission, requireAccount, requireHolder } from "../../../http/server/access.ts";
import type { Context } from "../../../module/feature.ts";
import { type ReadDb, rowsOf, type Trx } from "../../../store/database.ts";
import {
  bytesOf,
  countOf,
  fittingRows,
  holdsText,
  newestFirst,
  type RowBytes,
} from "../../../store/sqlite/list-queries.ts";
import { userNames } from "../../access/index.ts";
import type { PageRow } from "../../delivery/index.ts";
import { withheldNow } from "../book/service.ts";
import type { AlertView } from "../types.ts";
import { resolvedError } from "./acts.ts";
import type { BulkBody, BulkView } from "./changes/action-bodies.ts";
import type { Actor } from "./context.ts";
import type { Incidents } from "./engine.ts";
import { acksOf } from "./facts.ts";
import { type IncidentRow, type IncidentView, SEVERITIES } from "./incident.ts";
import { lastPages, noticeOutcome, withOutcomes } from "./page-view.ts";
import { COUNTS, isCounted, PAGES_OF, projectsShowingPeople, wasPaged, wasPagedAt } from "./reported.ts";
import { silencesOf } from "./silenced.ts";
import { findIncident } from "./store.ts";
import {
  actingOn,
  attentionRank,
  couldAct,
  inAttentionOrder,
  incidentView,
  isUnresolved,
  type ListedIncident,
  LOOKED_AT,
  mayRead,
  SHOWN_ALERTS,
  SHOWN_TIMELINE,
  SUMMARY_LENGTH,
} from "./view.ts";

/* Reading incidents, and what people do with them, with the rights of the caller. */

const STATES = ["open", "acknowledged", "snoozed", "resolved", "unresolved"] as const;

export const ListIncidents = object({
  projectId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug; default: all projects of the caller")),
  state: v.optional(doc(v.picklist(STATES), "`unresolved`: open, acknowledged and snoozed ones")),
  policy: v.optional(doc(v.pipe(v.string(), v.maxLength(255)), "Id of the policy")),
  number: v.optional(doc(queryInteger(1, Number.MAX_SAFE_INTEGER), "Number in the project")),
  q: v.optional(doc(text(100, 1), "Part of the title")),
  mine: v.optional(doc(queryBoolean, "Only incidents that the caller was notified of")),
  severity: v.optional(
    doc(queryList(v.picklist([...SEVERITIES, "none"])), "Highest severities, separated by commas; `none`: not named"),
  ),
  from: v.optional(doc(instant, "Only those that were opened from then on")),
  to: v.optional(doc(instant, "And before then")),
  counted: v.optional(doc(v.picklist(COUNTS), "Only ended ones that reports count, or count as this")),
  key: v.optional(doc(text(300, 1), "Only ended ones with this key of reports, such as `DiskFull host=db-2`")),
  paged: v.optional(
    doc(uuid, "Id of a user: only incidents that paged the user. Of others as far as `reports.people` shows them"),
  ),
  pages: v.optional(
    doc(
      v.picklist(PAGES_OF),
      "With `paged` and `from`: only incidents with such a page in the days from `from` to `to`, by the clock of the user and " +
        "whenever they were opened, as the report about people counts pages",
    ),
  ),
  order: v.optional(
    doc(
      v.picklist(["newest", "attention"]),
      "`attention`: unresolved ones; open before acknowledged, snoozed, and those that wait for no person, " +
        "then by severity, then the earliest alert first. Default: the newest first",
    ),
  ),
  ...pageEntries(),
});
export type ListIncidents = v.InferOutput<typeof ListIncidents>;

export const IncidentParams = object({ id: doc(uuid, "Id of the incident") });
export type IncidentsContext = Context<"projects" | "policies" | "incidents" | "alerts" | "withheldBy">;

/** Dependencies of {@link withheldOf}. */
export type WithheldParts = Pick<IncidentsContext, "db" | "alerts" | "withheldBy">;

type Acknowledger = v.InferOutput<ReturnType<typeof ListedIncident>>["acknowledgedBy"][number];

/** In the order of ids SQLite would read the resolved ones too, which are nearly all. */
const isAmongUnresolved = sql<boolean>`id in (
  select u.id from incidents as u indexed by incidents_open where u.state <> 'resolved')`;

const INCIDENT_BYTES: RowBytes = { bytes: bytesOf("groupKey", "groupLabels", "route", "title"), largest: 262_144 };

export async function listIncidents(context: IncidentsContext, principal: Principal, given: ListIncidents) {
  const {
    projectId,
    state,
    policy,
    number,
    q,
    mine,
    severity,
    from,
    to,
    counted,
    key,
    paged,
    pages,
    order,
    ...paging
  } = given;
  const { db, projects, policies } = context;
  if (pages !== undefined && (paged === undefined || from === undefined))
    throw invalidField("query", "pages", "needs `paged` and `from`");
  const byAttention = order === "attention";
  const page = readPage(paging, byAttention ? ["number", "number", "string"] : ["string"]);
  // Who was notified of an incident reads it, also where the project is closed.
  const isOwn = mine && projectId === undefined;
  const projectIds = isOwn
    ? projects.reaching(principal, "events:read")
    : projects.readable(principal, "events:read", projectId);
  const showing = paged === undefined ? null : projectsOfPaged(context, requireHolder(principal), paged);
  const userId = mine && principal.kind !== "apiKey" ? requireAccount(principal).userId : null;
  const pagedAt = paged && pages ? await wasPagedAt(context, { userId: paged, pages, from, to }) : undefined;
  const filtered = (scan: ReadDb) => {
    let query = scan.selectFrom("incidents");
    if (byAttention) query = query.where(isUnresolved);
    else if (state !== undefined && state !== "resolved") query = query.where(isAmongUnresolved);
    // The index of numbers begins with the project.
    if (projectIds === null && number !== undefined)
      query = query.where("projectId", "in", scan.selectFrom("projects").select("id"));
    // By the other index all unresolved ones of the projects would be sorted for each page.
    if (projectIds !== null) query = query.where(byAttention ? sql<string>`+projectId` : "projectId", "in", projectIds);
    if (state === "snoozed") query = query.where("snoozedUntil", "is not", null).where("state", "<>", "resolved");
    else if (state === "unresolved") query = query.where("state", "<>", "resolved");
    else if (state !== undefined) query = query.where("state", "=", state);
    if (state === "open" || state === "acknowledged") query = query.where("snoozedUntil", "is", null);
    if (policy !== undefined) query = query.where("policyId", "=", policy);
    if (number !== undefined) query = query.where("number", "=", number);
    if (q !== undefined) query = query.where(holdsText("title", q));
    if (severity) query = query.where(sql<string>`coalesce(severity, 'none')`, "in", severity);
    if (from !== undefined && !pagedAt) query = query.where("openedAt", ">=", from);
    if (to !== undefined && !pagedAt) query = query.where("openedAt", "<", to);
    if (counted !== undefined || key !== undefined) query = query.where(isCounted(counted ?? "all", key));
    if (paged !== undefined) query = query.where(pagedAt ?? wasPaged(paged));
    if (showing !== null) query = query.where(sql<string>`+projectId`, "in", showing);
    if (userId !== null)
      query = query.where(sql<boolean>`exists (select 1 from notifications n join notification_recipients r
        on r.notificationId = n.id where n.incidentId = incidents.id and r.userId = ${userId})`);
    return query;
  };
  const all = filtered(db.scan).selectAll().select(attentionRank.as("rank"));
  const { rows, isCut } = await fittingRows(
    byAttention ? inAttentionOrder(all, page) : newestFirst(all, page),
    page.limit + 1,
    INCIDENT_BYTES,
  );
  const total = page.wantsTotal ? await countOf(filtered(db.scan)) : undefined;
  const acknowledgers = await acknowledgersOf(
    db.scan,
    rows.map(({ id }) => id),
  );
  const withheld = await withheldOf(context, rows);
  const acting = await actingOn(projects, db.scan, principal, rows);
  const summaries = await summariesOf(
    db.scan,
    rows.map(({ id }) => id),
  );
  return pageBody(
    { ...page, isCut },
    rows,
    (row) => ({
      ...incidentView(policies, row),
      summary: summaries.get(row.id) ?? null,
      acknowledgedBy: acknowledgers.get(row.id) ?? [],
      isWithheld: withheld.has(row.id),
      withheldAs: withheld.get(row.id) ?? null,
      mayAct: acting.has(row.id),
    }),
    (row) => (byAttention ? [row.rank, row.firingSince, row.id] : [row.id]),
    total,
  );
}

/** Null: all. */
function projectsOfPaged(context: IncidentsContext, caller: PermissionHolder, userId: string) {
  return userId === caller.userId ? null : projectsShowingPeople(context, caller);
}

/** Users with an acknowledgement of these incidents, the earliest first. */
export async function acknowledgersOf(
  db: ReadDb,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Acknowledger[]>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom("incident_acks as k")
    .leftJoin("users as u", "u.id", "k.userId")
    .select(["k.incidentId", "k.userId", "u.name"])
    .where("k.incidentId", "in", ids)
    .orderBy("k.at")
    .execute();
  const byIncident = new Map<string, Acknowledger[]>();
  for (const { incidentId, userId, name } of rows)
    byIncident.set(incidentId, [...(byIncident.get(incidentId) ?? []), { userId, name }]);
  return byIncident;
}

/** The statement of the first alert of each incident; ids of alerts grow with time. */
export async function summariesOf(db: ReadDb, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  const text = sql<string | null>`substr(coalesce(nullif(a.annotations ->> '$.summary', ''),
    nullif(a.annotations ->> '$.description', ''), a.annotations ->> '$.message'), 1, ${SUMMARY_LENGTH})`;
  const rows = await db
    .selectFrom("incidents as i")
    .innerJoin("alerts as a", (on) =>
      on.on("a.id", "=", sql<string>`(select min(m.alertId) from incident_alerts m where m.incidentId = i.id)`),
    )
    .select(["i.id", text.as("summary")])
    .where("i.id", "in", ids)
    .execute();
  return new Map(rows.flatMap(({ id, summary }) => (summary ? [[id, summary]] : [])));
}

/** The incidents without a firing alert that notifies now, and by what their last one is withheld. */
export async function withheldOf(
  { db, alerts, withheldBy }: WithheldParts,
  rows: readonly Pick<IncidentRow, "id" | "state" | "firing">[],
): Promise<ReadonlyMap<string, WithheldAs>> {
  const examined = rows.filter(({ state, firing }) => state !== "resolved" && firing > 0 && firing <= LOOKED_AT);
  const ids = new Set(examined.map(({ id }) => id));
  const found = new Map<string, WithheldAs>();
  if (ids.size === 0) return found;
  const members = await db.scan
    .selectFrom("incident_alerts as m")
    .innerJoin("alerts as a", "a.id", "m.alertId")
    .select(["m.incidentId", "m.alertId"])
    .where("m.incidentId", "in", [...ids])
    .where("m.leftAt", "is", null)
    .where("a.state", "=", "firing")
    .execute();
  for (const { incidentId, alertId } of members) {
    const alert = alerts.find(alertId);
    const withheld = alert && withheldNow(withheldBy, alert);
    if (withheld === null) ids.delete(incidentId);
    else if (withheld) found.set(incidentId, withheldAs(withheld));
  }
  return new Map([...found].filter(([id]) => ids.has(id)));
}

type WithheldAs = "silenced" | "inhibited" | "muted";

function withheldAs({ silencedBy, inhibitedBy }: NonNullable<ReturnType<typeof withheldNow>>): WithheldAs {
  if (silencedBy.length > 0) return "silenced";
  return inhibitedBy.length > 0 ? "inhibited" : "muted";
}

export async function getIncident(context: IncidentsContext, principal: Principal, id: string) {
  const row = await visibleIncident(context, principal, id);
  const showsUrls = context.projects.has(principal, row.projectId, "policies:write");
  return { ...(await detailOf(context, row, showsUrls)), mayAct: await mayActOn(context, principal, row) };
}

async function mayActOn({ db, projects }: IncidentsContext, principal: Principal, row: IncidentRow): Promise<boolean> {
  return (await actingOn(projects, db.read, principal, [row])).has(row.id);
}

async function detailOf(context: IncidentsContext, row: IncidentRow, showsUrls: boolean) {
  const { db, policies } = context;
  const { steps, ackQuorum } = policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  const pages = await lastPages(db.read, row.id);
  const alertList = await alertsOf(context, row.id);
  const timeline = await timelineOf(db.read, row.id, pages);
  const span = { from: row.openedAt, until: row.resolvedAt ?? context.clock.now() };
  return {
    ...incidentView(policies, row),
    alertList,
    acknowledgements: await acknowledgementsOf(db.read, row.id),
    ackQuorum,
    audience: await audienceView(db.read, row.id),
    steps: steps.map((step) => (step.type === "webhook" && !showsUrls ? { ...step, url: originOf(step.url) } : step)),
    notices: pages.map(noticeOutcome),
    silences: await silencesOf(db.read, silenceIdsOf(alertList, timeline), span),
    timeline,
  };
}

/** The silences that withhold its alerts now, or did when it was looked at. */
function silenceIdsOf(
  alertList: readonly Pick<Awaited<ReturnType<typeof alertsOf>>[number], "withheld">[],
  timeline: readonly Pick<Awaited<ReturnType<typeof timelineOf>>[number], "data">[],
): ReadonlySet<string> {
  const before = timeline.flatMap(({ data: { silences } }) => (Array.isArray(silences) ? silences.map(String) : []));
  return new Set([...before, ...alertList.flatMap(({ withheld }) => withheld?.silencedBy ?? [])]);
}

function originOf(url: string): string {
  return URL.canParse(url) ? `${new URL(url).origin}/…` : "";
}

async function alertsOf({ db, alerts, withheldBy }: IncidentsContext, incidentId: string) {
  const members = await db.read
    .selectFrom("incident_alerts as m")
    .innerJoin("alerts as a", "a.id", "m.alertId")
    .select(["m.alertId", "m.addedAt", "m.firingNotifiedAt", "m.leftAt"])
    .where("m.incidentId", "=", incidentId)
    .orderBy(sql`m.leftAt is not null`)
    .orderBy("a.state")
    .orderBy("m.alertId", "desc")
    .limit(SHOWN_ALERTS)
    .execute();
  const byId = new Map((await alerts.read(members.map(({ alertId }) => alertId))).map((alert) => [alert.id, alert]));
  return members.flatMap(({ alertId, addedAt, firingNotifiedAt, leftAt }) => {
    const alert = byId.get(alertId);
    if (!alert) return [];
    const notifiedAt = toRfc3339OrNull(firingNotifiedAt);
    const times = { addedAt: toRfc3339(addedAt), notifiedAt, leftAt: toRfc3339OrNull(leftAt) };
    // What withholds it elsewhere holds nothing here.
    const withheld = leftAt === null ? withheldNow(withheldBy, alert) : null;
    return [{ ...alertView(alert), ...times, withheld }];
  });
}

function alertView(alert: AlertView) {
  const { id, fingerprint, state, timedOut, severity, labels, annotations, generatorUrl } = alert;
  const times = { startsAt: toRfc3339(alert.startsAt), resolvedAt: toRfc3339OrNull(alert.resolvedAt) };
  return { id, fingerprint, state, timedOut, severity, labels, annotations, generatorUrl, ...times };
}

async function acknowledgementsOf(db: ReadDb, incidentId: string) {
  const acks = await acksOf(db, incidentId);
  const names = await userNames(
    db,
    acks.map(({ userId }) => userId),
  );
  return acks.map(({ userId, at, expiresAt, via }) => ({
    userId,
    name: names.get(userId)?.name ?? null,
    at: toRfc3339(at),
    expiresAt: toRfc3339OrNull(expiresAt),
    via,
  }));
}

/** Their notifications may be gone: pages are kept as long as the incident. */
const PAGED_PEOPLE = `select p.userId, u.name, count(*) notifications, min(p.createdAt) firstAt, max(p.createdAt) lastAt,
  (select min(a.at) from incident_acks a where a.incidentId = p.incidentId and a.userId = p.userId) acknowledgedAt
  from pages p join users u on u.id = p.userId where p.incidentId = ? and p.kind = 'delivery' and p.reason <> 'drill'
  group by p.userId order by firstAt, p.userId`;

async function audienceView(db: ReadDb, incidentId: string) {
  const rows = await db
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .innerJoin("users as u", "u.id", "r.userId")
    .select((e) => [
      "r.userId",
      "u.name",
      e.fn.countAll<number>().as("notifications"),
      e.fn.min("n.createdAt").as("firstAt"),
      e.fn.max("n.createdAt").as("lastAt"),
      e.fn.max("r.acknowledgedAt").as("acknowledgedAt"),
      e.fn.min("r.readAt").as("seenAt"),
    ])
    .where("n.incidentId", "=", incidentId)
    .groupBy(["r.userId", "u.name"])
    .orderBy("firstAt")
    .orderBy("r.userId")
    .execute();
  const known = new Set(rows.map(({ userId }) => userId));
  const paged = await rowsOf<Omit<(typeof rows)[number], "seenAt">>(db, PAGED_PEOPLE, [incidentId]);
  const others = paged.filter(({ userId }) => !known.has(userId));
  return [...rows, ...others.map((each) => ({ ...each, seenAt: each.acknowledgedAt }))].map(
    ({ acknowledgedAt, firstAt, lastAt, seenAt, ...row }) => ({
      ...row,
      firstAt: toRfc3339(firstAt),
      lastAt: toRfc3339(lastAt),
      seenAt: toRfc3339OrNull(seenAt),
      acknowledged: acknowledgedAt !== null,
    }),
  );
}

async function timelineOf(db: ReadDb, incidentId: string, pages: readonly PageRow[]) {
  const rows = await db
    .selectFrom("incident_log")
    .selectAll()
    .where("incidentId", "=", incidentId)
    .orderBy("seq", "desc")
    .limit(SHOWN_TIMELINE)
    .execute();
  return rows.reverse().map(({ seq, at, kind, actor, data }) => {
    const found = JSON.parse(data) as Record<string, unknown>;
    return { seq, at: toRfc3339(at), kind, actor, data: withOutcomes(found, pages) };
  });
}

/** @throws INCIDENT_NOT_FOUND, also for one that the caller may not see. */
export async function visibleIncident(
  { db, projects }: IncidentsContext,
  principal: Principal,
  id: string,
): Promise<IncidentRow> {
  const row = isUuid(id) ? await findIncident(db.read, id) : undefined;
  if (!row || !(await mayRead(projects, db.read, principal, row)))
    throw new PrismError("INCIDENT_NOT_FOUND", "No such incident");
  return row;
}

export type Act = (
  incidents: Incidents,
  id: string,
  actor: Actor,
  row: Pick<IncidentRow, "projectId">,
) => Promise<unknown>;

interface ActOptions {
  /** Added to the timeline. */
  readonly text?: string | undefined;
  /** The transaction of the change, if it has one. */
  readonly db?: ReadDb | Trx;
  /** It is possible after the end of the incident, by a right in the project. */
  readonly mayBeResolved?: boolean;
}

/**
 * Acts on one incident as the caller.
 * @throws INCIDENT_NOT_FOUND, UNAUTHORIZED_ROLE, INVALID_STATE
 */
export async function act(
  context: IncidentsContext,
  principal: Principal,
  id: string,
  change: Act,
  { text, db = context.db.read, mayBeResolved = false }: ActOptions = {},
): Promise<IncidentView> {
  const row = await visibleIncident(context, principal, id);
  if (!(await mayActOn(context, principal, row))) {
    if (!mayBeResolved && (await couldAct(context.projects, context.db.read, principal, row))) throw resolvedError(row);
    throw missingPermission("incidents:act");
  }
  const actor: Actor = { id: actorOf(principal), via: "api" };
  await change(context.incidents, id, actor, row);
  if (text !== undefined) await context.incidents.note(id, text, actor);
  return incidentView(context.policies, (await findIncident(db, id)) ?? row);
}

/** The caller as the actor of a timeline. */
export function actorOf(principal: Principal): string {
  if (principal.kind === "apiKey") return `key:${principal.keyId}`;
  return principal.userId ?? "operator";
}

/** {@link act} on several incidents, each in a transaction of its own. */
export async function actOnMany(
  context: IncidentsContext,
  principal: Principal,
  { ids, note: text }: v.InferOutput<typeof BulkBody>,
  change: Act,
) {
  const data: v.InferOutput<typeof BulkView>["data"] = [];
  for (const id of new Set(ids)) {
    try {
      const { state } = await act(context, principal, id, change, { text });
      data.push({ id, state, error: null });
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      data.push({ id, state: null, error: { code: error.code, message: error.message } });
    }
  }
  return { data };
}
