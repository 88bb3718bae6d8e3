import type { EpochMs } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { notificationRow } from "../../../store/commit/notification-row.ts";
import { type ReadDb, rowsOf, type Trx } from "../../../store/database.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import { projectPeople } from "../../access/index.ts";
import { MOVED, type PageFacts } from "../../delivery/index.ts";
import { COMPLETED, type RunningJob } from "../../time/jobs/index.ts";
import type { RouteSettings } from "../policies/routing.ts";
import type { AlertView } from "../types.ts";
import type { IncidentParts } from "./context.ts";
import { acksOf, membersOf } from "./facts.ts";
import { type IncidentRow, isBurning, type PagedBy, SEVERITIES, severityOf } from "./incident.ts";
import type { Action } from "./machine.ts";
import { isUnreported, type NoticeWording, noticeMessage, noticeTitle, severityBefore } from "./notice-text.ts";
import { type AudienceMember, addLog, findIncident, lastLog, lastLogSeq, notifiedUsers } from "./store.ts";

/* Notifications of incidents: contact rules, and the jobs of delayed ones. */

export const PRIORITY = { high: 800, low: 300 } as const satisfies Record<Urgency, number>;

/** Names in contact rules, as in preferences, and their channels. */
export const CONTACT_CHANNELS = {
  in_app: ["in_app", "pusher"],
  push: ["fcm", "apns", "webpush"],
  email: ["email"],
  webhook: ["webhook"],
  service: ["service"],
} as const;
export type ContactChannel = keyof typeof CONTACT_CHANNELS;
export const CONTACT_NAMES = Object.keys(CONTACT_CHANNELS) as [ContactChannel, ...ContactChannel[]];

/** Without contact rules the preferences decide, as for every notification. */
const ALL_CHANNELS = Object.values(CONTACT_CHANNELS).flat().sort();

export interface Notice extends NoticeWording {
  readonly urgency: Urgency;
  /** Such as "Step 2 of the policy Database". */
  readonly cause: string;
  /** Number of the notice in its incident. */
  readonly number: number;
  /** Index of the step that notifies; null: none. */
  readonly step: number | null;
  /** People whom a person named, and not a step. */
  readonly by?: PagedBy;
}

/** Stored notices, for the timeline. */
export interface Sent {
  readonly notificationIds: readonly string[];
  /** Users whose contact rules delay a further notification, with the delays. */
  readonly delayed: Readonly<Record<string, readonly number[]>>;
  /** Whether something is to be sent outside of the app. */
  readonly hasPages: boolean;
}

/** The stored notifications, and the users that one of their pages may reach. */
export interface StoredNotices {
  readonly ids: readonly string[];
  readonly reachable: ReadonlySet<string>;
  readonly hasPages: boolean;
}

interface Contact {
  readonly userId: string;
  readonly afterMs: number;
  readonly channels: readonly string[];
}

/** Notifies users by their contact rules for this urgency. @param logSeq the timeline's last row */
export async function notifyUsers(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  users: readonly string[],
  notice: Notice,
  now: EpochMs,
): Promise<Sent> {
  const contacts = await contactsOf(trx, users, notice.urgency);
  const later = contacts.filter(({ afterMs }) => afterMs > 0);
  const logSeq = later.length === 0 ? 0 : await lastLogSeq(trx, row.id);
  const atOnce = contacts.filter(({ afterMs }) => afterMs === 0);
  const { ids, reachable, hasPages } = await storeNotices(parts, trx, row, atOnce, notice, now);
  const delayed: Record<string, number[]> = {};
  for (const [at, contact] of later.entries()) {
    const { userId, afterMs } = contact;
    const isFirst = delayed[userId] === undefined;
    delayed[userId] = [...(delayed[userId] ?? []), afterMs];
    // A user without a way for the first rule gets the next one at once.
    const isAtOnce = isFirst && !reachable.has(userId) && parts.pages.hasWays;
    const place = { now: parts.clock.toWall(now), logSeq, at };
    const job = delayedJob(row, isAtOnce ? { ...contact, afterMs: 0 } : contact, notice, place);
    await parts.jobs.enqueue(job, { trx, isPage: true });
  }
  return { notificationIds: ids, delayed, hasPages: hasPages || later.length > 0 };
}

/** Notifies the audience of earlier notifications by the channels of those. */
export function notifyAudience(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  audience: readonly AudienceMember[],
  notice: Notice,
  now: EpochMs,
): Promise<StoredNotices> {
  const contacts = audience.map(({ userId, channels }) => ({ userId, channels, afterMs: 0 }));
  return storeNotices(parts, trx, row, contacts, notice, now);
}

const CONTACTS = `select c.userId, c.afterMs, c.channels
  from json_each(?) u cross join contact_rules c on c.userId = u.value and c.urgency = +?
  order by c.userId, c.position`;

async function contactsOf(trx: ReadDb | Trx, users: readonly string[], urgency: Urgency): Promise<Contact[]> {
  const rows = await rowsOf<{ userId: string; afterMs: number; channels: string }>(trx, CONTACTS, [
    JSON.stringify(users),
    urgency,
  ]);
  return users.flatMap((userId): Contact[] => {
    const own = rows.filter((each) => each.userId === userId);
    if (own.length === 0) return [{ userId, afterMs: 0, channels: ALL_CHANNELS }];
    return own.map(({ afterMs, channels }) => ({ userId, afterMs, channels: channelsOf(channels) }));
  });
}

/** The users whom a notice of this urgency may reach outside of the app, by their contact rules. */
export async function reachableOf(
  parts: Pick<IncidentParts, "reachable">,
  trx: ReadDb | Trx,
  { projectId }: Pick<IncidentRow, "projectId">,
  users: readonly string[],
  urgency: Urgency,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  if (users.length === 0) return found;
  for (const [channels, ids] of byChannels(await contactsOf(trx, users, urgency)))
    for (const id of await parts.reachable(trx, [...ids], { projectId, priority: PRIORITY[urgency], channels }))
      found.add(id);
  return found;
}

/** The names of contact rules by which a notice of this urgency goes to each user outside of the app. */
export async function waysTo(
  { waysOf }: Uses<"waysOf">,
  db: ReadDb | Trx,
  projectId: string,
  users: readonly string[],
  urgency: Urgency,
): Promise<ReadonlyMap<string, ReadonlySet<ContactChannel>>> {
  const found = new Map(users.map((id) => [id, new Set<ContactChannel>()]));
  if (users.length === 0) return found;
  for (const [channels, ids] of byChannels(await contactsOf(db, users, urgency)))
    for (const { userId, channel } of await waysOf(db, [...ids], { projectId, priority: PRIORITY[urgency], channels }))
      for (const name of CONTACT_NAMES)
        if ((CONTACT_CHANNELS[name] as readonly string[]).includes(channel)) found.get(userId)?.add(name);
  return found;
}

/** The names of channels that a notice of high urgency uses for each user, at once or later. */
export async function pagedChannels(
  db: ReadDb | Trx,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const { userId, channels } of await contactsOf(db, userIds, "high"))
    found.set(userId, [...new Set([...(found.get(userId) ?? []), ...channels])].sort());
  return found;
}

function byChannels(contacts: readonly Contact[]): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>();
  for (const { userId, channels } of contacts) {
    const key = JSON.stringify(channels);
    groups.set(key, (groups.get(key) ?? new Set()).add(userId));
  }
  return groups;
}

function channelsOf(stored: string): readonly string[] {
  return (JSON.parse(stored) as ContactChannel[]).flatMap((each) => CONTACT_CHANNELS[each]).sort();
}

/** One notification for each set of channels. */
async function storeNotices(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  contacts: readonly Contact[],
  notice: Notice,
  now: EpochMs,
): Promise<StoredNotices> {
  const groups = byChannels(contacts);
  const ids: string[] = [];
  const reachable = new Set<string>();
  let hasPages = false;
  const facts = pageFactsOf(row, notice);
  for (const [channels, users] of groups) {
    const dedupeKey = `incident:${row.id}:${notice.number}:${ids.length}`;
    const stored = notificationRow({ ...contentOf(parts, row, notice), channels, dedupeKey, createdAt: now });
    await parts.notify.store(stored, [...users], trx, { incidentId: row.id, isPaged: true });
    const planned = await parts.pagePeople(trx, stored, [...users], facts);
    await parts.pages.add(trx, planned.pages);
    hasPages ||= planned.pages.some(({ skipped, channel }) => !skipped && channel !== "pusher");
    for (const userId of planned.reachable) reachable.add(userId);
    ids.push(stored.id);
  }
  return { ids, reachable, hasPages };
}

function pageFactsOf(row: IncidentRow, { reason, urgency, alerts, step }: Notice): PageFacts {
  const { id: incidentId, projectId } = row;
  const severity = SEVERITIES.indexOf(severityOf(urgency, alerts));
  const isEnd = reason === "resolved";
  return { incidentId, projectId, urgency, severity, isEnd, reason: pageReason(row, reason), step };
}

/** Why a page is sent: `moved` for the end of an incident whose alerts have another route. */
export function pageReason<T>({ state, resolvedBy }: IncidentRow, reason: T): T | typeof MOVED {
  return state === "resolved" && resolvedBy === "moved" ? MOVED : reason;
}

function contentOf(parts: IncidentParts, row: IncidentRow, notice: Notice) {
  const { id, number, projectId, firing } = row;
  const { reason, urgency } = notice;
  const url = parts.publicUrl()?.replace(/\/+$/, "");
  const before = severityBefore(row.urgency, notice);
  const action = { type: "open", label: "Open the incident", url: `${url}/dashboard/incidents/${id}` };
  return {
    kind: "incident",
    projectId,
    priority: PRIORITY[urgency],
    correlationId: id,
    title: noticeTitle(row, notice),
    message: noticeMessage(row, notice),
    action: url === undefined ? null : JSON.stringify(action),
    data: JSON.stringify({
      ...{ incidentId: id, number, title: row.title, reason, urgency, state: row.state, firing },
      severity: severityOf(row.urgency, notice.alerts),
      ...(before !== null && { severityBefore: before }),
      ...(isUnreported(row) && { timedOut: true }),
    }),
  } as const;
}

const CONTACT_JOB = "incident.contact";

interface DelayedPayload {
  readonly incidentId: string;
  readonly userId: string;
  readonly channels: readonly string[];
  readonly urgency: Urgency;
  readonly cause: string;
  readonly number: number;
  readonly logSeq: number;
  readonly step?: number | null;
  readonly by?: PagedBy;
}

function delayedJob(
  { id }: IncidentRow,
  { userId, channels, afterMs }: Contact,
  { urgency, cause, number, step, by }: Notice,
  /** `now` by the wall clock, as jobs run. */
  { now, logSeq, at }: { readonly now: EpochMs; readonly logSeq: number; readonly at: number },
) {
  const payload: DelayedPayload = {
    ...{ incidentId: id, userId, channels, urgency, cause, number, logSeq, step },
    ...(by && { by }),
  };
  return {
    // Not behind jobs that call outside.
    queue: "alert",
    kind: CONTACT_JOB,
    payload,
    runAt: now + afterMs,
    priority: PRIORITY[urgency],
    dedupeKey: `incident:${id}:${number}:${at}`,
    correlationId: id,
  } as const;
}

/** Changes of an incident that end the delayed notifications of earlier steps. */
const ENDS_DELAYED = [
  "unacknowledged",
  "ack-expired",
  "snoozed",
  "unsnoozed",
  "snooze-ended",
  "escalated",
  "reassigned",
  "steps-restarted",
];

/** What follows if the notification of a contact rule may reach no one. */
type AfterContact = (parts: IncidentParts, trx: Trx, row: IncidentRow, now: EpochMs) => Promise<void>;

/** Registers the job that sends the delayed notification of a contact rule. */
export function handleDelayed(parts: IncidentParts, after: AfterContact): void {
  parts.runner.handle(CONTACT_JOB, (job) => sendDelayed(parts, job, after));
}

async function sendDelayed(parts: IncidentParts, job: RunningJob, after: AfterContact): Promise<typeof COMPLETED> {
  const payload = job.payload as DelayedPayload;
  const { incidentId, userId, channels, urgency, cause, number, step = null } = payload;
  await parts.db.write(async (trx) => {
    const row = await findIncident(trx, incidentId);
    const isWanted = row !== undefined && (await isStillWanted(parts, trx, row, userId, payload));
    await parts.jobs.complete(job, trx, { sent: isWanted });
    if (row === undefined) return;
    const now = parts.clock.now();
    const alerts = isWanted ? await firingOf(parts, trx, row.id) : [];
    const base = { reason: "step", urgency, cause, alerts, lateSince: null, resolvedBy: null } as const;
    const contact = { userId, channels, afterMs: 0 };
    const stored = isWanted ? await storeNotices(parts, trx, row, [contact], { ...base, number, step }, now) : null;
    const notificationIds = stored?.ids ?? [];
    const data = { users: [userId], channels, urgency, cause, notificationIds };
    addLog(trx, row.id, [{ kind: isWanted ? "contact-notified" : "contact-dropped", data }], now);
    await after(parts, trx, row, now);
  });
  return COMPLETED;
}

export async function firingOf({ alerts }: IncidentParts, trx: Trx, incidentId: string): Promise<AlertView[]> {
  const firing = (await membersOf(trx, incidentId)).filter(({ isFiring }) => isFiring);
  return firing.flatMap(({ alertId }) => alerts().find(alertId) ?? []);
}

async function isStillWanted(
  { users }: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  userId: string,
  { logSeq, by }: DelayedPayload,
): Promise<boolean> {
  const isPaused = row.state !== "open" || row.snoozedUntil !== null;
  if (row.state === "resolved" || (isPaused && by !== "responder") || !isBurning(row)) return false;
  if (users.reachable([userId], row.projectId).length === 0) return false;
  if ((await acksOf(trx, row.id)).some((ack) => ack.userId === userId)) return false;
  const changed = await lastLog(trx, row.id, ENDS_DELAYED);
  return changed === undefined || changed.seq <= logSeq;
}

/** The users of a step, and why each of them. */
export interface NotifyTargets {
  readonly users: readonly string[];
  /** Such as `schedule:<id>:current`, `role:<id>`, `user`, `members`. */
  readonly through: ReadonlyMap<string, string>;
  /** The shift that put the current users of a schedule on call, by schedule. */
  readonly shifts: Readonly<Record<string, string>>;
  /** Targets that named no user who can be notified. */
  readonly empty: readonly string[];
}

type Page = Extract<Action, { kind: "page" }>;

type TargetParts = Pick<IncidentParts, "users" | "projects" | "onCall">;

/** The users of a step at this instant: active, and members of the project. */
export async function targetsOf(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  { notify, step }: Page,
  now: EpochMs,
): Promise<NotifyTargets> {
  const { projectId, policyId } = row;
  const targets = await candidatesOf(parts, trx, projectId, notify, now);
  // A person who names people means those alone.
  if (step === null) return targets;
  const users = notify.roundRobin ? await nextOf(trx, policyId, step, targets.users) : targets.users;
  const concerned = (await concernedBy(parts, trx, row)).filter((id) => !users.includes(id));
  const through = new Map([...concerned.map((id) => [id, "silent-source"] as const), ...targets.through]);
  return { ...targets, users: [...users, ...concerned].sort(), through };
}

/** The people of a silent source whom its incident has not notified yet. */
async function concernedBy(parts: TargetParts, trx: Trx, { id, projectId, route }: IncidentRow): Promise<string[]> {
  const { silentSource } = JSON.parse(route) as RouteSettings;
  if (silentSource === undefined || silentSource.people.length === 0) return [];
  const notified = new Set(await notifiedUsers(trx, [id]));
  return parts.users.reachable(silentSource.people, projectId).filter((user) => !notified.has(user));
}

/** {@link targetsOf} without the choice of one user by `roundRobin`. Nothing is stored. */
export async function candidatesOf(
  parts: TargetParts,
  db: ReadDb | Trx,
  projectId: string,
  notify: Page["notify"],
  now: EpochMs,
): Promise<NotifyTargets> {
  const through = new Map<string, string>();
  const shifts: Record<string, string> = {};
  const empty: string[] = [];
  const add = (source: string, ids: readonly string[]): void => {
    const reachable = parts.users.reachable(ids, projectId);
    if (reachable.length === 0) empty.push(source);
    for (const id of reachable) if (!through.has(id)) through.set(id, source);
  };
  for (const id of notify.users) add("user", [id]);
  for (const { id, who } of notify.schedules) {
    const { current, next, shift } = await parts.onCall(db, id, now);
    if (shift !== null) shifts[id] = shift;
    if (who !== "next") add(`schedule:${id}:current`, current);
    if (who !== "current") add(`schedule:${id}:next`, next);
  }
  for (const id of notify.roles) add(`role:${id}`, await holdersOf(db, id));
  if (notify.members) {
    const people = await projectPeople(db, projectId, parts.projects.defaultId);
    add(
      "members",
      people.map(({ id }) => id),
    );
  }
  return { users: [...through.keys()].sort(), through, shifts, empty };
}

async function holdersOf(db: ReadDb | Trx, roleId: string): Promise<string[]> {
  const rows = await db.selectFrom("user_roles").select("userId").where("roleId", "=", roleId).execute();
  return rows.map(({ userId }) => userId);
}

/** The user after the last one of this step. */
async function nextOf(trx: Trx, policyId: string, step: number, users: readonly string[]): Promise<string[]> {
  const last = await trx
    .selectFrom("policy_turns")
    .select("userId")
    .where("policyId", "=", policyId)
    .where("step", "=", step)
    .executeTakeFirst();
  const userId = users.find((id) => id > (last?.userId ?? "")) ?? users[0];
  if (userId === undefined) return [];
  await trx
    .insertInto("policy_turns")
    .values({ policyId, step, userId })
    .onConflict((conflict) => conflict.columns(["policyId", "step"]).doUpdateSet({ userId }))
    .execute();
  return [userId];
}
