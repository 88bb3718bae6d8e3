import type { PermissionHolder, Principal } from "../../core/caller.ts";
import { createToken } from "../../core/crypto/tokens.ts";
import { PrismError } from "../../core/errors.ts";
import { DAY_MS, type EpochMs } from "../../core/time/clock.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { Context, Offers } from "../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../store/database.ts";
import { owned, reauthorize } from "../access/index.ts";
import { recordAction } from "../records/audit/index.ts";
import * as queries from "./queries.ts";
import { pastOf, spansOf } from "./roster.ts";
import { type OnCallRow, OnCallSchedule } from "./schema.ts";

export type OnCallContext = Context<
  "projects" | "principals" | "users" | "notify" | "drills" | "policiesWithSchedule"
> & {
  /** For answers of at most 1 MiB. */
  readonly fetch: ReturnType<Offers["outside"]>;
};

/** A schedule or its shifts have changed. */
export const DUE_EVENT = "oncall:due";
/** Others are on call on a schedule. */
export const ON_CALL_CHANGED = "oncall:changed";
/** Changes of one edit are looked at together. */
const GAPS_AFTER_MS = 600_000;
/** The past of a schedule is kept for this time. */
export const KEPT_MS = 400 * DAY_MS;

export const scheduleAccess = owned(OnCallSchedule, {
  ...{ read: "events:read", write: "oncall:write", missing: "SCHEDULE_NOT_FOUND", noun: "on-call schedule" },
});

/** @throws SCHEDULE_NOT_FOUND, also for a schedule that the caller may not see */
export function visibleSchedule(
  { projects }: Pick<OnCallContext, "projects">,
  principal: Principal,
  id: string,
  db: ReadDb | Trx,
): Promise<OnCallRow> {
  return scheduleAccess.visible(projects, principal, id, db);
}

/**
 * {@link visibleSchedule}, also for a user whom its shifts or calendar name: such a user reads his or her
 * own shifts, and may ask for a swap and take one. In projects other than `default` these are members.
 */
export async function ownSchedule(
  context: Pick<OnCallContext, "projects">,
  principal: Principal,
  id: string,
  db: ReadDb | Trx,
): Promise<OnCallRow> {
  const row = await OnCallSchedule.find(db, id);
  if (row && (await isNamed(context, principal, row, db))) return row;
  return visibleSchedule(context, principal, id, db);
}

async function isNamed(
  { projects }: Pick<OnCallContext, "projects">,
  principal: Principal,
  { id, projectId }: OnCallRow,
  db: ReadDb | Trx,
): Promise<boolean> {
  if (principal.kind === "apiKey" || principal.userId === null) return false;
  if (!projects.mayBeGiven(principal, projectId, "events:read")) return false;
  return (await queries.schedulesWith(db, principal.userId)).some((named) => named.id === id);
}

/**
 * Changes a schedule in one transaction, in which the right is checked again.
 * @param right `events:read` for what every member may do, `own` for those whom it names, too.
 * @throws SCHEDULE_NOT_FOUND, UNAUTHORIZED_ROLE
 */
export async function changeSchedule<T>(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  right: "oncall:write" | "events:read" | "own",
  change: (trx: Trx, schedule: OnCallRow) => Promise<T>,
): Promise<T> {
  const { db, storage, projects } = context;
  storage.requireSpace();
  const find = right === "own" ? ownSchedule : visibleSchedule;
  const { projectId } = await find(context, principal, id, db.read);
  const member = right === "own" ? "events:read" : right;
  const hasRight = projects.has(principal, projectId, member);
  if (right !== "own" && !hasRight) throw missingPermission(member);
  return db.write(async (trx) => {
    // Callers without the right are people that the schedule names: checked again with their current rights.
    const current = hasRight ? principal : context.principals.refresh(principal);
    if (!current) throw new PrismError("TOKEN_INVALID", "The credential is no longer valid");
    if (hasRight) await reauthorize(context, principal, projectId, member, trx);
    return change(trx, await find(context, current, id, trx));
  });
}

/** Has hand-overs looked at now, and gaps when the edit is over. */
export async function noteChange(trx: Trx, id: string, now: EpochMs): Promise<void> {
  await queries.updateSchedule(trx, id, { dueAt: now, gapsAt: now + GAPS_AFTER_MS });
  addEffect(trx, { type: "oncall-due", id, dueAt: now });
  addEffect(trx, { type: "announced", event: DUE_EVENT, data: { id } });
}

/** The project, or all that the caller reads; null: every one. @throws PROJECT_NOT_FOUND */
export function projectsOf(
  { projects }: Pick<OnCallContext, "projects">,
  principal: Principal,
  ref: string | undefined,
): readonly string[] | null {
  const readable = projects.readable(principal, "events:read", ref);
  if (readable?.length === 0) throw missingPermission("events:read");
  return readable;
}

/** Creates the link of calendar programs; an earlier one ends. It opens while the caller may read the project. */
export function createLink(context: OnCallContext, principal: PermissionHolder, id: string) {
  return changeSchedule(context, principal, id, "oncall:write", async (trx, { projectId }) => {
    const { token, hash } = createToken("prc");
    await queries.updateSchedule(trx, id, { tokenHash: hash, tokenBy: principal.userId });
    await recordAction(context, trx, "oncall_schedule.link", id, { projectId });
    return { token, url: `${context.publicUrl()}/api/v1/oncall/schedules/${id}/calendar.ics?token=${token}` };
  });
}

export function revokeLink(context: OnCallContext, principal: PermissionHolder, id: string): Promise<void> {
  return changeSchedule(context, principal, id, "oncall:write", async (trx, { projectId }) => {
    await queries.updateSchedule(trx, id, { tokenHash: null, tokenBy: null });
    await recordAction(context, trx, "oncall_schedule.unlink", id, { projectId });
  });
}

/** Null: none any more. What was read before stays for times that are over. */
export async function putCalendar(trx: Trx, scheduleId: string, url: string | null, now: EpochMs): Promise<void> {
  const old = await queries.calendarOf(trx, scheduleId);
  if ((old?.url ?? null) === url) return;
  const content = old ? JSON.stringify(pastOf(spansOf(old), now)) : null;
  const row = {
    url,
    content,
    etag: null,
    hash: null,
    checkedAt: null,
    changedAt: now,
    error: null,
    dueAt: url === null ? null : now,
  };
  await trx
    .insertInto("oncall_calendars")
    .values({ scheduleId, ...row })
    .onConflict((conflict) => conflict.column("scheduleId").doUpdateSet(row))
    .execute();
  addEffect(trx, { type: "oncall-due", id: scheduleId, calendarAt: row.dueAt });
}
