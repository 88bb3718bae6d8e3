import { sql } from "kysely";
import type { EpochMs } from "../../../core/clock.ts";
import type { Trx } from "../../../store/database.ts";
import { type PageFollower, type PageRow, pagesOf } from "../../delivery/index.ts";
import type { PolicyStep } from "../policies/policy.ts";
import { holdersOf, isBurning } from "./assigned.ts";
import type { IncidentParts } from "./context.ts";
import { fallBack } from "./fallback.ts";
import { type Ack, repeatMsOf } from "./machine.ts";
import { firingOf } from "./notices.ts";
import { addLog, findIncident, type IncidentRow, incidentsById, lastLog, saveIncident, settingsOf } from "./store.ts";
import { noteChanged } from "./view.ts";
import { waysFailed, waysWork } from "./way-notices.ts";

/* What follows from the outcomes of an incident's pages, in the transaction that stores them. */

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
    const isOwn = (page: PageRow): boolean => isNotice(page) && page.userId !== null && users.has(page.userId);
    await pages.overtake(trx, after.id, "the person acknowledged the incident", isOwn);
  }
}

/** Connects the sender of pages with incidents. */
export function pageFollower(parts: IncidentParts): PageFollower {
  return {
    async delivered(trx, pages) {
      const ids = incidentsOf(pages.filter(isOutside));
      for (const row of await incidentsById(trx, [...ids])) markReached(parts, trx, row);
      await waysWork(parts, trx, pages);
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
async function notReached(parts: IncidentParts, trx: Trx, { incidentId, notificationId }: PageRow): Promise<void> {
  const row = await findIncident(trx, incidentId);
  if (row?.state !== "open" || row.reachedAt === null) return;
  const others = (await pagesOf(trx, incidentId)).filter(isOutside);
  if (others.some(({ outcome }) => outcome === "delivered")) return;
  const notifications = new Set(
    [notificationId, ...others.map((page) => page.notificationId)].flatMap((id) => id ?? []),
  );
  const opened = await trx
    .selectFrom("notification_recipients")
    .select("notificationId")
    .where("notificationId", "in", [...notifications])
    .where("readAt", "is not", null)
    .limit(1)
    .executeTakeFirst();
  if (opened) return;
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
  const moved = await afterNotReached(parts, trx, row, now);
  if (moved !== row) save(parts, trx, moved);
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

/** The next contact rule of a person whose ways have all failed is used now. */
async function nextContact(
  { jobs }: IncidentParts,
  trx: Trx,
  { id }: IncidentRow,
  userId: string,
  now: EpochMs,
): Promise<void> {
  const own = (await pagesOf(trx, id)).filter((page) => page.userId === userId);
  if (own.some((page) => page.outcome === "delivered" || (page.endedAt === null && page.failedAt === null))) return;
  const next = await trx
    .selectFrom("jobs")
    .select(["id", "runAt"])
    .where("kind", "=", "incident.contact")
    .where("state", "=", sql.lit("scheduled"))
    .where("correlationId", "=", id)
    .where(sql<boolean>`payload ->> 'userId' = ${userId}`)
    .orderBy("runAt")
    .limit(1)
    .executeTakeFirst();
  if (next && next.runAt > now) await jobs.recall([next.id], { trx });
}

/**
 * After a turn or a failure: while no one is reached and no page may still reach someone, the next
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
  if (next === "steps" && row.stepAt !== null) return sooner(parts, trx, row, now);
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
  for (const page of await pagesOf(trx, id))
    if (isOutside(page) && page.endedAt === null && page.failedAt === null) return true;
  const contact = await trx
    .selectFrom("jobs")
    .select("id")
    .where("kind", "=", "incident.contact")
    .where("finishedAt", "is", null)
    .where("correlationId", "=", id)
    .limit(1)
    .executeTakeFirst();
  return contact !== undefined;
}

/** What follows the last executed step, besides waits: steps that reach people, or none. */
function nextStep({ policies }: IncidentParts, row: IncidentRow): "steps" | "none" {
  const { steps, repeat } = policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  const following = steps.slice(row.step).find(({ type }) => type !== "wait");
  if (following?.type === "resolve") return "none";
  if (following) return "steps";
  const isNotifying = ({ type }: PolicyStep): boolean => type === "notify" || type === "webhook" || type === "channel";
  return row.round < repeat && steps.some(isNotifying) ? "steps" : "none";
}

/** In an outage one step of a project is shortened at a time: the next people are not flooded. */
function mayShorten({ shortened }: IncidentParts, { projectId }: IncidentRow, now: EpochMs): boolean {
  const last = shortened.get(projectId);
  if (last !== undefined && now - last < SHORTEST_STEP_MS) return false;
  shortened.delete(projectId);
  shortened.set(projectId, now);
  for (const [id, at] of shortened) {
    if (now - at < SHORTEST_STEP_MS) break;
    shortened.delete(id);
  }
  return true;
}

/** The next step comes as soon as this one has lasted long enough. */
async function sooner(parts: IncidentParts, trx: Trx, row: IncidentRow, now: EpochMs): Promise<IncidentRow> {
  const stepAt = Math.max(now, (row.steppedAt ?? now) + SHORTEST_STEP_MS);
  if (row.stepAt === null || row.stepAt <= stepAt || !mayShorten(parts, row, now)) return row;
  addLog(trx, row.id, [{ kind: "wait-shortened", data: { from: row.stepAt, to: stepAt } }], now);
  return { ...row, stepAt };
}
