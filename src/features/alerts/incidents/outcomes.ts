import { sql } from "kysely";
import type { EpochMs } from "../../../core/time/clock.ts";
import { notificationRow } from "../../../store/commit/notification-row.ts";
import { rowsOf, type Trx } from "../../../store/database.ts";
import { administrators, ownersOf } from "../../access/index.ts";
import type { PageFollower, PageRow } from "../../delivery/index.ts";
import { DEFAULT_POLICY, type PolicyStep } from "../policies/policy.ts";
import { sendToChannel } from "./channel-steps.ts";
import type { IncidentParts } from "./context.ts";
import { holdersOf, type IncidentRow, isBurning } from "./incident.ts";
import { type Ack, repeatMsOf } from "./machine.ts";
import { candidatesOf, firingOf, type Notice, notifyUsers, reachableOf } from "./notices.ts";
import { addLog, findIncident, incidentsById, type LogEntry, lastLog, saveIncident, settingsOf } from "./store.ts";
import { noteChanged } from "./view.ts";
import { failedAmong, waysFailed, waysWork } from "./way-notices.ts";
import { hostOf, pageWebhook, placeOf } from "./webhooks.ts";

/* Consequences of page outcomes for an incident, in the transaction that stores them. */

type WebhookOrChannel = Extract<PolicyStep, { type: "webhook" | "channel" }>;

/** A step that reached no one lasts at least this long. */
const SHORTEST_STEP_MS = 30_000;

/** Nothing more is sent to people of what they have taken care of, or what is over. */
export async function overtakeNotices(
  { pages }: Pick<IncidentParts, "pages">,
  trx: Trx,
  before: IncidentRow,
  after: IncidentRow,
  acks: readonly Ack[],
): Promise<void> {
  const isNotice = (page: PageRow): boolean => page.kind === "delivery" && page.isEnd === 0;
  if (after.state === "resolved" && before.state !== "resolved")
    await pages.overtake(trx, after.id, "the incident is resolved", isNotice);
  else if (after.state === "acknowledged" && before.state !== "acknowledged")
    await pages.overtake(trx, after.id, "a person acknowledged the incident", isNotice);
  else if (after.snoozedUntil !== null && before.snoozedUntil === null)
    await pages.overtake(trx, after.id, "the incident is snoozed", isNotice);
  else if (after.assigned !== before.assigned && holdersOf(after.assigned)) {
    const holders = holdersOf(after.assigned);
    const isOthers = (page: PageRow): boolean => isNotice(page) && holders?.has(page.userId ?? "") !== true;
    await pages.overtake(trx, after.id, "the incident was reassigned", isOthers);
  } else if (acks.length > 0) {
    const users = new Set(acks.map(({ userId }) => userId));
    // They are notified of a raised severity.
    const isOwn = (page: PageRow): boolean =>
      isNotice(page) && page.reason !== "severity-raised" && page.userId !== null && users.has(page.userId);
    await pages.overtake(trx, after.id, "the person acknowledged the incident", isOwn);
  }
}

/** Connects the sender of pages with incidents. */
export function pageFollower(parts: IncidentParts): PageFollower {
  return {
    async accepting(trx, pages) {
      const failed = await failedAmong(trx, pages);
      const rows = await incidentsById(trx, [...incidentsOf(pages.filter(isOutside))]);
      return async (accepted) => {
        const reached = incidentsOf(accepted.filter(isOutside));
        for (const row of rows) if (reached.has(row.id)) markReached(parts, trx, row);
        const mended = accepted.filter(({ target }) => failed.has(target));
        if (mended.length > 0) await waysWork(parts, trx, mended);
      };
    },
    async mirrored(trx, pages) {
      const ids = incidentsOf(pages.filter(isOutside));
      for (const row of await incidentsById(trx, [...ids])) markReached(parts, trx, row);
    },
    returned: (trx, page) => notReached(parts, trx, page),
    async failed(trx, pages) {
      for (const id of incidentsOf(pages)) {
        const own = pages.filter(({ incidentId }) => incidentId === id);
        await failed(parts, trx, id, own);
      }
    },
  };
}

function incidentsOf(pages: readonly PageRow[]): Set<string> {
  return new Set(pages.map(({ incidentId }) => incidentId));
}

/** Pusher is a live connection of the app; the end of an incident pages no one. */
function isOutside({ channel, isEnd }: PageRow): boolean {
  return channel !== "pusher" && isEnd === 0;
}

/**
 * Someone has a notice of the incident: repetitions have the route's time from now on. @returns
 * whether it is the first one
 */
export async function reached(parts: IncidentParts, trx: Trx, id: string): Promise<boolean> {
  const row = await findIncident(trx, id);
  return row !== undefined && markReached(parts, trx, row);
}

function markReached(parts: IncidentParts, trx: Trx, row: IncidentRow): boolean {
  if (row.state === "resolved" || row.reachedAt !== null) return false;
  save(parts, trx, { ...row, ...reachedIn(parts, row, parts.clock.now()) });
  return true;
}

function reachedIn({ policies }: IncidentParts, row: IncidentRow, now: number) {
  const wait = repeatMsOf({ reachedAt: now }, settingsOf(policies, row));
  return { reachedAt: now, repeatAt: row.repeatAt === null ? null : now + wait };
}

/** An accepted page was returned: if it was all that reached someone, the incident has reached no one. */
async function notReached(parts: IncidentParts, trx: Trx, page: PageRow): Promise<void> {
  const { incidentId } = page;
  const row = await findIncident(trx, incidentId);
  if (row?.state !== "open" || row.reachedAt === null) return;
  if ((await hasReached(trx, incidentId)) || (await hasRead(trx, page))) return;
  save(parts, trx, unreached(parts, row, parts.clock.now()));
}

/** The incident as one that has reached no one: its targets are asked again sooner. */
export function unreached({ policies }: IncidentParts, row: IncidentRow, now: number): IncidentRow {
  const wait = repeatMsOf({ reachedAt: null }, settingsOf(policies, row));
  const repeatAt = row.repeatAt === null ? null : Math.min(row.repeatAt, now + wait);
  return { ...row, reachedAt: null, repeatAt };
}

function save(parts: IncidentParts, trx: Trx, row: IncidentRow): IncidentRow {
  const saved = saveIncident(trx, row, row, parts.clock.now());
  noteChanged(trx, [saved]);
  return saved;
}

async function failed(parts: IncidentParts, trx: Trx, id: string, pages: readonly PageRow[]): Promise<void> {
  const row = await findIncident(trx, id);
  if (!row) return;
  const now = parts.clock.now();
  addLog(trx, id, pages.map(failedEntry), now);
  await waysFailed(parts, trx, row, pages);
  if (row.state !== "open" || row.snoozedUntil !== null) return;
  for (const userId of new Set(pages.flatMap((page) => page.userId ?? [])))
    await nextContact(parts, trx, row, userId, now);
  await handleNotReached(parts, trx, row, now);
}

function failedEntry({ id, kind, channel, userId, step, lastError }: PageRow) {
  const channelId = kind === "channel" ? channel : undefined;
  return {
    kind: "page-failed",
    data: {
      pageId: id,
      way: kind,
      channel: kind === "delivery" ? channel : undefined,
      channelId,
      userId,
      step,
      error: lastError,
    },
  };
}

/** Literally as in the index `jobs_contacts`: with a bound value SQLite would read all jobs. */
const IS_OPEN_CONTACT = sql<boolean>`kind = 'incident.contact' and finishedAt is null`;

/** The next contact rule of a person whose ways have all failed is used now. */
async function nextContact(
  { jobs, clock }: IncidentParts,
  trx: Trx,
  { id }: IncidentRow,
  userId: string,
  now: EpochMs,
): Promise<void> {
  if ((await mayReach(trx, id, userId)) || (await hasReached(trx, id, userId))) return;
  const next = await trx
    .selectFrom("jobs")
    .select(["id", "runAt"])
    .where(IS_OPEN_CONTACT)
    .where("state", "=", "scheduled")
    .where("correlationId", "=", id)
    .where(sql<boolean>`payload ->> 'userId' = ${userId}`)
    .orderBy("runAt")
    .limit(1)
    .executeTakeFirst();
  if (next && next.runAt > clock.toWall(now)) await jobs.recall([next.id], { trx });
}

/** {@link afterNotReached} for a row that the caller does not store. */
export async function handleNotReached(parts: IncidentParts, trx: Trx, row: IncidentRow, now: EpochMs): Promise<void> {
  const moved = await afterNotReached(parts, trx, row, now);
  if (moved !== row) save(parts, trx, moved);
}

/**
 * After a turn, a failure or a contact rule: while no one is reached and no page may still reach someone, the next
 * step comes sooner, and after the last one the incident falls back.
 * @returns the row, changed if a step was moved
 */
export async function afterNotReached(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  now: EpochMs,
): Promise<IncidentRow> {
  const isEscalating = row.state === "open" && row.snoozedUntil === null && row.reachedAt === null;
  if (!isEscalating || row.steppedAt === null || !isBurning(row) || (await hasHope(trx, row))) return row;
  const next = nextStep(parts, row);
  if (next === "steps" && row.stepAt !== null) return sooner(trx, row, now);
  const alerts = await firingOf(parts, trx, row.id);
  if (alerts.length > 0 && alerts.every(({ labels }) => labels["prism_demo"] === "true")) return row;
  const number = row.notices + 1;
  const base = { reason: "step", urgency: row.urgency, cause: "The steps of its policy reached no one" } as const;
  const notice = { ...base, alerts, lateSince: null, resolvedBy: null, number, step: null };
  const entries = await fallBack(parts, trx, row, { notice, now });
  if (entries.length > 0) {
    addLog(trx, row.id, entries, now);
    const asked = { ...row, notices: number };
    return parts.pages.hasWays ? asked : { ...asked, ...reachedIn(parts, asked, now) };
  }
  if ((await lastLog(trx, row.id, ["unreachable", "fallback"]))?.kind !== "unreachable")
    addLog(trx, row.id, [{ kind: "unreachable" }], now);
  return row;
}

/** Whether a page of the incident, or a contact rule, may still reach someone. */
async function hasHope(trx: Trx, { id }: IncidentRow): Promise<boolean> {
  if (await mayReach(trx, id)) return true;
  const contact = await trx
    .selectFrom("jobs")
    .select("id")
    .where(IS_OPEN_CONTACT)
    .where("correlationId", "=", id)
    .limit(1)
    .executeTakeFirst();
  return contact !== undefined;
}

/** The step after the last executed one, besides waits: whether it reaches people. */
function nextStep({ policies }: IncidentParts, row: IncidentRow): "steps" | "none" {
  const { steps, repeat } = policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  const following = steps.slice(row.step).find(({ type }) => type !== "wait");
  if (following?.type === "resolve") return "none";
  if (following) return "steps";
  const isNotifying = ({ type }: PolicyStep): boolean => type === "notify" || type === "webhook" || type === "channel";
  return row.round < repeat && steps.some(isNotifying) ? "steps" : "none";
}

/** The next step comes as soon as this one has lasted long enough. */
function sooner(trx: Trx, row: IncidentRow, now: EpochMs): IncidentRow {
  const stepAt = Math.max(now, (row.steppedAt ?? now) + SHORTEST_STEP_MS);
  if (row.stepAt === null || row.stepAt <= stepAt) return row;
  addLog(trx, row.id, [{ kind: "wait-shortened", data: { from: row.stepAt, to: stepAt } }], now);
  return { ...row, stepAt };
}

/* Who is paged when the steps of a policy reach no one: docs/alerts.md, "Reaching no one". */

/** The incident reaches no one: pages the first level with a way that works. @returns its rows of the timeline */
async function fallBack(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  { notice, now }: { readonly notice: Notice; readonly now: number },
): Promise<LogEntry[]> {
  for (const name of policiesOf(parts, row)) {
    const found = await byPolicy(parts, trx, row, { name, notice, now });
    if (found) return [found];
  }
  const owners = parts.users.reachable(await ownersOf(trx, row.projectId), row.projectId);
  const users = await withWay(parts, trx, row, owners);
  if (users.length > 0) return [await toUsers(parts, trx, row, { level: "owners", users, notice, now })];
  return row.urgency === "high" && parts.toAdministrators() ? toAdministrators(parts, trx, row, now) : [];
}

/** The policy's own fallback, then the project's default. */
function policiesOf({ policies }: IncidentParts, { projectId, policyId, policyVersion }: IncidentRow): string[] {
  const own = policies.definitionOf({ id: policyId, version: policyVersion });
  const known = policies.of(projectId);
  const names = [own.fallback ?? DEFAULT_POLICY, DEFAULT_POLICY];
  return [...new Set(names)].filter((name) => name !== own.name && known.has(name));
}

/** The steps of a policy up to its first wait, if they reach someone. */
async function byPolicy(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  { name, notice, now }: { readonly name: string; readonly notice: Notice; readonly now: number },
): Promise<LogEntry | null> {
  const policy = parts.policies.named(row.projectId, name);
  const { steps } = parts.policies.definitionOf(policy);
  const end = steps.findIndex(({ type }) => type === "wait");
  const first = end === -1 ? steps : steps.slice(0, end);
  const users = await usersOf(parts, trx, row, first, now);
  const isFailing = await failingIn(trx, row);
  const others = first
    .filter((step) => step.type === "webhook" || step.type === "channel")
    .filter((step) => !isFailing(step));
  if (users.length === 0 && others.length === 0) return null;
  const ways: string[] = [];
  for (const step of others) {
    if (step.type === "webhook") {
      await pageWebhook(parts, trx, row, { index: steps.indexOf(step), step, reason: "step", now, policy });
      ways.push(hostOf(step));
    } else {
      const cause = { reason: "step", notice, by: null, now, isRepeated: false } as const;
      await sendToChannel(parts, trx, row, step.id, cause);
      ways.push(`channel ${step.id}`);
    }
  }
  const level = `policy ${name}`;
  if (users.length === 0) return { kind: "fallback", data: { level, users, ways } };
  const entry = await toUsers(parts, trx, row, { level, users, notice, now });
  return { ...entry, data: { ...entry.data, ways } };
}

/** Whether a page of the incident to the target of a step has failed. */
async function failingIn(trx: Trx, { id, projectId }: IncidentRow): Promise<(step: WebhookOrChannel) => boolean> {
  const failed = await failedPlaces(trx, id);
  return (step) =>
    failed.some(({ channel, target }) =>
      step.type === "channel" ? channel === step.id : target === placeOf(step, projectId).target,
    );
}

async function usersOf(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  steps: readonly PolicyStep[],
  now: number,
): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const step of steps)
    if (step.type === "notify")
      for (const id of (await candidatesOf(parts, trx, row.projectId, step, now)).users) found.add(id);
  return withWay(parts, trx, row, [...found]);
}

/** Users with a way that works; on a server without outside ways all of them, in the app. */
async function withWay(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  users: readonly string[],
): Promise<readonly string[]> {
  return parts.pages.hasWays ? [...(await reachableOf(parts, trx, row, users, row.urgency))] : users;
}

async function toUsers(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  given: { readonly level: string; readonly users: readonly string[]; readonly notice: Notice; readonly now: number },
): Promise<LogEntry> {
  const { level, users, notice, now } = given;
  const { notificationIds } = await notifyUsers(parts, trx, row, users, notice, now);
  return { kind: "fallback", data: { level, users, count: users.length, notificationIds } };
}

/** Administrators are no members of the project: they get its name, the number and a link. */
async function toAdministrators(parts: IncidentParts, trx: Trx, row: IncidentRow, now: number): Promise<LogEntry[]> {
  // Their notification is of no project: it would leave.
  if (parts.projects.isMirror(row.projectId)) return [];
  const ids = (await administrators(trx)).map(({ id }) => id);
  const users = await withWay(parts, trx, row, ids);
  if (users.length === 0) return [];
  const project = await trx.selectFrom("projects").select("name").where("id", "=", row.projectId).executeTakeFirst();
  const url = parts.publicUrl()?.replace(/\/+$/, "");
  const link = url === undefined ? null : `${url}/dashboard/incidents/${row.id}`;
  const title = `Incident ${row.number} of ${project?.name ?? "a project"} has reached no one`;
  const message =
    "No person of the project could be reached. Open the incident, and check who is on call and how they are notified.";
  const stored = notificationRow({
    kind: "incident",
    projectId: null,
    priority: 800,
    correlationId: row.id,
    title,
    message,
    action: link === null ? null : JSON.stringify({ type: "open", label: "Open the incident", url: link }),
    data: JSON.stringify({ incidentId: row.id, number: row.number, reason: "step", urgency: "high", state: row.state }),
    channels: JSON.stringify(["in_app", "pusher", "fcm", "apns", "webpush", "email", "webhook", "service"]),
    dedupeKey: `incident:${row.id}:administrators:${row.version}`,
    createdAt: now,
  });
  await parts.notify.store(stored, users, trx, { incidentId: row.id, isPaged: true });
  const facts = { incidentId: row.id, projectId: row.projectId, urgency: "high", reason: "step", step: null } as const;
  const { pages } = await parts.pagePeople(trx, stored, users, facts);
  await parts.pages.add(trx, pages);
  return [
    { kind: "fallback", data: { level: "administrators", users, count: users.length, notificationIds: [stored.id] } },
  ];
}

/*
 * What the pages of an incident say about whom it reaches. Overtaken ones, which may be many, are not
 * read: the conditions repeat those of the indexes `pages_waiting` and `pages_answered`. Pusher is a
 * live connection of the app; the end of an incident pages no one.
 */

const MAY_REACH = `select 1 from pages where incidentId = ? and endedAt is null and failedAt is null
  and userId is coalesce(?, userId) and channel is not 'pusher' and isEnd = 0 limit 1`;

/** Whether a page of the incident may still reach someone. @param userId only this person */
async function mayReach(trx: Trx, incidentId: string, userId: string | null = null): Promise<boolean> {
  return (await rowsOf(trx, MAY_REACH, [incidentId, userId])).length > 0;
}

const HAS_REACHED = `select 1 from pages where incidentId = ? and outcome in ('delivered', 'failed')
  and outcome = 'delivered' and userId is coalesce(?, userId) and channel is not 'pusher' and isEnd = 0 limit 1`;

/** Whether a page of the incident was accepted outside of the app. @param userId only for this person */
async function hasReached(trx: Trx, incidentId: string, userId: string | null = null): Promise<boolean> {
  return (await rowsOf(trx, HAS_REACHED, [incidentId, userId])).length > 0;
}

const HAS_READ = `select 1 from pages p join notification_recipients r on r.notificationId = p.notificationId
  where p.incidentId = ? and (p.isEnd = 0 or p.id = ?) and p.channel is not 'pusher' and r.readAt is not null limit 1`;

/** Whether a person has read what a page of the incident, or this page, brings. */
async function hasRead(trx: Trx, { incidentId, id }: PageRow): Promise<boolean> {
  return (await rowsOf(trx, HAS_READ, [incidentId, id])).length > 0;
}

const FAILED = `select channel, target from pages
  where incidentId = ? and endedAt is null and failedAt is not null and channel is not 'pusher'
  union select channel, target from pages
  where incidentId = ? and outcome in ('delivered', 'failed') and outcome = 'failed' and channel is not 'pusher'`;

/** Where pages of the incident have failed, each once. */
function failedPlaces(trx: Trx, incidentId: string): Promise<Pick<PageRow, "channel" | "target">[]> {
  return rowsOf(trx, FAILED, [incidentId, incidentId]);
}
