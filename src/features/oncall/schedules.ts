import { createToken } from "../../core/crypto/tokens.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { PermissionHolder, Principal } from "../../core/principal.ts";
import { DAY_MS, type EpochMs, toRfc3339OrNull } from "../../core/time/clock.ts";
import { ofProjects } from "../../http/api/listing.ts";
import { requireVersion } from "../../http/body/negotiation.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { Context, Offers } from "../../module/feature.ts";
import { addEffect, type InTransaction, type ReadDb, type Trx } from "../../store/database.ts";
import { owned, reauthorize } from "../access/index.ts";
import { recordAction } from "../records/audit/index.ts";
import type { CalendarRow } from "./queries.ts";
import * as queries from "./queries.ts";
import { pastOf, spansOf } from "./roster.ts";
import {
  type CreateOnCallSchedule,
  type ListOnCallSchedules,
  type OnCallRow,
  OnCallSchedule,
  scheduleList,
  type UpdateOnCallSchedule,
} from "./schema.ts";

export type OnCallContext = Context<
  "projects" | "principals" | "users" | "notify" | "drills" | "policiesWithSchedule"
> & {
  /** For answers of at most 1 MiB. */
  readonly fetch: ReturnType<Offers["outside"]>;
};

/** A schedule or its shifts changed: hand-overs and gaps are searched again after the commit. */
export const DUE_EVENT = "oncall:due";
/** Others are on call on a schedule. */
export const ON_CALL_CHANGED = "oncall:changed";
/** Changes of one edit are looked at together. */
const GAPS_AFTER_MS = 600_000;
/** The past of a schedule is kept for this time. */
export const KEPT_MS = 400 * DAY_MS;

const rights = { read: "events:read", write: "oncall:write" } as const;
const access = owned(OnCallSchedule, { ...rights, missing: "SCHEDULE_NOT_FOUND", noun: "on-call schedule" });

/** @throws SCHEDULE_NOT_FOUND, also for a schedule that the caller may not see */
export function visibleSchedule(
  { projects }: Pick<OnCallContext, "projects">,
  principal: Principal,
  id: string,
  db: ReadDb | Trx,
): Promise<OnCallRow> {
  return access.visible(projects, principal, id, db);
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
  change: (trx: Trx, schedule: OnCallRow, now: EpochMs) => Promise<T>,
  options: InTransaction = {},
): Promise<T> {
  const { db, clock, storage, projects } = context;
  storage.requireSpace();
  const find = right === "own" ? ownSchedule : visibleSchedule;
  const { projectId } = await find(context, principal, id, db.read);
  const member = right === "own" ? "events:read" : right;
  const hasRight = projects.has(principal, projectId, member);
  if (right !== "own" && !hasRight) throw missingPermission(member);
  return db.writeIn(options, async (trx) => {
    // Callers without the right are people that the schedule names: checked again with their current rights.
    const current = hasRight ? principal : context.principals.refresh(principal);
    if (!current) throw new PrismError("TOKEN_INVALID", "The credential is no longer valid");
    if (hasRight) await reauthorize(context, principal, projectId, member, trx);
    return change(trx, await find(context, current, id, trx), clock.now());
  });
}

/** Has hand-overs looked at now, and gaps when the edit is over. */
export async function noteChange(trx: Trx, id: string, now: EpochMs): Promise<void> {
  await queries.updateSchedule(trx, id, { dueAt: now, gapsAt: now + GAPS_AFTER_MS });
  addEffect(trx, { type: "announced", event: DUE_EVENT, data: { id } });
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, URL_REFUSED */
export async function newCalendarUrl(context: OnCallContext, principal: PermissionHolder, input: CreateOnCallSchedule) {
  const { projects } = context;
  projects.requireOrDefault(principal, input.projectId, "oncall:write");
  return checkedUrl(context, input.calendarUrl ?? null);
}

/**
 * @param calendarUrl as {@link newCalendarUrl} returns it
 * @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, NAME_TAKEN, LIMIT_REACHED
 */
export async function createSchedule(
  context: OnCallContext,
  principal: PermissionHolder,
  input: CreateOnCallSchedule,
  calendarUrl: string | null,
  trx: Trx,
) {
  const { projects, storage, config, clock } = context;
  storage.requireSpace();
  const projectId = projects.requireOrDefault(principal, input.projectId, "oncall:write");
  await reauthorize(context, principal, projectId, "oncall:write", trx);
  await requireFreeName(trx, projectId, input.name);
  const now = clock.now();
  const maker = { projectId, createdBy: principal.userId };
  await projects.quotas.requireRoom(trx, "onCallSchedules", maker);
  if (calendarUrl !== null) await projects.quotas.requireRoom(trx, "calendars", maker);
  const row = OnCallSchedule.newRow(
    { ...input, timezone: input.timezone ?? config.timezone },
    { id: uuidv7(), ...maker, checkedAt: now, createdAt: now, updatedAt: now },
  );
  await trx.insertInto("oncall_schedules").values(row).execute();
  await putCalendar(trx, row.id, calendarUrl, now);
  await recordAction(context, trx, "oncall_schedule.create", row.id, { projectId, version: 1 });
  await noteChange(trx, row.id, now);
  return readSchedule(context, principal, row.id, trx);
}

/** @throws SCHEDULE_NOT_FOUND, UNAUTHORIZED_ROLE, VERSION_CONFLICT, NAME_TAKEN, URL_REFUSED, LIMIT_REACHED */
export async function updateSchedule(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateOnCallSchedule,
) {
  const calendarUrl = input.calendarUrl === undefined ? undefined : await checkedUrl(context, input.calendarUrl);
  await changeSchedule(context, principal, id, "oncall:write", async (trx, old, now) => {
    requireVersion(ifMatch, old.version);
    const { calendarUrl: _, ...given } = input;
    const changes = OnCallSchedule.columns(given);
    if (changes.name !== undefined && changes.name !== old.name)
      await requireFreeName(trx, old.projectId, changes.name);
    await queries.updateSchedule(trx, id, { ...changes, version: old.version + 1, updatedAt: now });
    const isNewCalendar = (calendarUrl ?? null) !== null && !(await queries.calendarOf(trx, id))?.url;
    if (isNewCalendar) await context.projects.quotas.requireRoom(trx, "calendars", old);
    if (calendarUrl !== undefined) await putCalendar(trx, id, calendarUrl, now);
    const metadata = { version: old.version + 1, members: Object.keys(input) };
    await recordAction(context, trx, "oncall_schedule.update", id, metadata);
    await noteChange(trx, id, now);
  });
  return readSchedule(context, principal, id);
}

/** @throws SCHEDULE_NOT_FOUND, UNAUTHORIZED_ROLE, VERSION_CONFLICT, ON_CALL_SCHEDULE_IN_USE */
export function deleteSchedule(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  force: boolean,
): Promise<void> {
  return changeSchedule(context, principal, id, "oncall:write", async (trx, old) => {
    requireVersion(ifMatch, old.version);
    const policies = await context.policiesWithSchedule(trx, id);
    if (policies.length > 0 && !force) throw inUse(context, principal, policies);
    await trx.deleteFrom("oncall_schedules").where("id", "=", id).execute();
    const metadata = { projectId: old.projectId, version: old.version, policies: policies.map((each) => each.id) };
    await recordAction(context, trx, "oncall_schedule.delete", id, metadata);
    addEffect(trx, { type: "announced", event: DUE_EVENT, data: { id } });
  });
}

/** @throws SCHEDULE_NOT_FOUND */
export async function readSchedule(context: OnCallContext, principal: Principal, id: string, trx?: Trx) {
  const db = trx ?? context.db.read;
  const row = await visibleSchedule(context, principal, id, db);
  return viewsFor(context, principal)(row, await queries.calendarOf(db, id));
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, INVALID_CURSOR */
export async function listSchedules(context: OnCallContext, principal: Principal, query: ListOnCallSchedules) {
  const { db } = context;
  const visible = ofProjects(projectsOf(context, principal, query.projectId));
  const view = viewsFor(context, principal);
  return scheduleList.page(db, { visible, state: undefined }, query, async (rows) => {
    const calendars = new Map<string, CalendarRow | undefined>();
    for (const { id } of rows) calendars.set(id, await queries.calendarOf(db.read, id));
    return (row) => view(row, calendars.get(row.id));
  });
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

function viewsFor({ projects }: OnCallContext, principal: Principal) {
  return (row: OnCallRow, calendar: CalendarRow | undefined) =>
    OnCallSchedule.view(row, {
      // The URL of a calendar is often its only secret.
      calendarUrl: calendar?.url && projects.has(principal, row.projectId, "oncall:write") ? calendar.url : null,
      calendar: calendar?.url
        ? {
            checkedAt: toRfc3339OrNull(calendar.checkedAt),
            changedAt: toRfc3339OrNull(calendar.changedAt),
            error: calendar.error,
          }
        : null,
      hasCalendarLink: row.tokenHash !== null,
    });
}

/** Policies of projects that the caller does not read are counted, but not named. */
function inUse(
  { projects }: OnCallContext,
  principal: PermissionHolder,
  policies: Awaited<ReturnType<OnCallContext["policiesWithSchedule"]>>,
): PrismError {
  const code = "ON_CALL_SCHEDULE_IN_USE";
  const shown = policies.filter(({ projectId }) => projects.has(principal, projectId, "events:read"));
  const details: { readonly code: string; readonly message: string; readonly policyId?: string }[] = shown.map(
    ({ id, name }) => ({ code, message: `the policy ${name} names the schedule`, policyId: id }),
  );
  const hidden = policies.length - shown.length;
  if (hidden > 0) details.push({ code, message: `policies of other projects that name the schedule: ${hidden}` });
  const named = [...shown.map(({ name }) => name), ...(hidden > 0 ? [`${hidden} of other projects`] : [])].join(", ");
  const message = `Policies name this schedule: ${named}. Change them first; force=true deletes it anyway`;
  return new PrismError(code, message, { details });
}

async function requireFreeName(trx: Trx, projectId: string, name: string): Promise<void> {
  if (!(await queries.isNameTaken(trx, projectId, name))) return;
  const message = "the project has an on-call schedule of this name";
  throw new PrismError("NAME_TAKEN", `name: ${message}`, { details: [{ path: "name", code: "NAME_TAKEN", message }] });
}

/** Calendar programs write `webcal:` for https. Outside the transaction: it resolves a name. */
async function checkedUrl({ fetch }: OnCallContext, url: string | null): Promise<string | null> {
  if (url === null) return null;
  const https = url.replace(/^webcals?:/i, "https:");
  await fetch.check(https);
  return https;
}

async function putCalendar(trx: Trx, scheduleId: string, url: string | null, now: EpochMs): Promise<void> {
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
}
