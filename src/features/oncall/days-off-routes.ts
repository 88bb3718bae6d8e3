import type { PermissionHolder, Principal } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../core/time/clock.ts";
import { IDEMPOTENCY_ERRORS } from "../../http/api/idempotency.ts";
import { type Reply, withVersion } from "../../http/api/route.ts";
import { requireVersion } from "../../http/body/negotiation.ts";
import { callerOf, holderOf, missingPermission, requireAccount } from "../../http/server/access.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { FeatureServer } from "../../module/feature.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { reauthorize, type UserName } from "../access/index.ts";
import { recordAction } from "../records/audit/index.ts";
import { toAway } from "./away.ts";
import { conflictsOn, readConflicts } from "./conflicts.ts";
import * as s from "./days-off-schema.ts";
import {
  type CreateDaysOff,
  DaysOff,
  type DaysOffRow,
  type ListDaysOff,
  type UpdateDaysOff,
} from "./days-off-schema.ts";
import { awayIn, countDays, dayOf, midnightOf } from "./model/away.ts";
import * as queries from "./queries.ts";
import { peopleOf, shown, spanOf } from "./reading.ts";
import { Range } from "./reading-schema.ts";
import { spansOf, turnsOf } from "./roster.ts";
import { KEPT_MS, noteChange, type OnCallContext, visibleSchedule } from "./schedules.ts";
import { ScheduleParams } from "./schema.ts";
import { daysText } from "./texts.ts";

/** Days off of one user that are not over. */
const MAX_ENTRIES = 100;
const MAX_DAYS = 366;

type ZonedRow = DaysOffRow & { readonly timezone: string };

/** The days off of a user, in order. @throws USER_NOT_FOUND, UNAUTHORIZED_ROLE */
async function listDaysOff(context: OnCallContext, principal: PermissionHolder, query: ListDaysOff) {
  const { db, clock } = context;
  const { userId } = keeperOf(context, principal, query.userId);
  const rows = await comingOf(db.read, userId, query.from ?? clock.now());
  return { data: await viewsOf(context, principal, rows, db.read) };
}

/** The days off of a user that end after an instant, in order. */
async function comingOf(db: ReadDb | Trx, userId: string, from: EpochMs): Promise<ZonedRow[]> {
  const rows = await queries.daysOffOf(db, { userIds: [userId], fromDay: dayOf(from - DAY_MS) });
  return rows.filter((row) => toAway(row).end > from);
}

/** The days off of all users whom a schedule names. @throws SCHEDULE_NOT_FOUND, VALIDATION_FAILED */
async function daysOffOfSchedule(context: OnCallContext, principal: Principal, id: string, range: Range) {
  const { db } = context;
  await visibleSchedule(context, principal, id, db.read);
  const { from, to } = spanOf(context, range);
  const userIds = await namedBy(db.read, id);
  const filter = { userIds, fromDay: dayOf(from - DAY_MS), toDay: dayOf(to + DAY_MS) };
  const rows = userIds.length === 0 ? [] : await queries.daysOffOf(db.read, filter);
  const shownRows = rows.filter((row) => awayIn([toAway(row)], from, to).length > 0);
  return { ...shown({ from, to }), data: await viewsOf(context, principal, shownRows, db.read) };
}

/** Days off that are not over of the users whom schedules name, in order. */
export async function daysOffOf(db: ReadDb | Trx, scheduleIds: readonly string[], now: EpochMs): Promise<ZonedRow[]> {
  const userIds = new Set<string>();
  for (const id of scheduleIds) for (const userId of await namedBy(db, id)) userIds.add(userId);
  if (userIds.size === 0) return [];
  const rows = await queries.daysOffOf(db, { userIds: [...userIds], fromDay: dayOf(now - DAY_MS) });
  return rows.filter((row) => toAway(row).end > now);
}

/** The users of the current shifts, overrides, swaps and the imported calendar of a schedule. */
async function namedBy(db: ReadDb | Trx, scheduleId: string): Promise<string[]> {
  const rows = (await queries.shiftsOf(db, scheduleId)).filter(({ validUntil }) => validUntil === null);
  const calendar = await queries.calendarOf(db, scheduleId);
  const named = rows.flatMap((row) => [...turnsOf(row).flat(), ...(row.swapFor === null ? [] : [row.swapFor])]);
  return [...new Set([...named, ...(calendar ? spansOf(calendar).flatMap(({ users }) => users) : [])])];
}

/** @throws USER_NOT_FOUND, UNAUTHORIZED_ROLE, VALIDATION_FAILED, LIMIT_REACHED */
async function createDaysOff(context: OnCallContext, principal: PermissionHolder, input: CreateDaysOff, trx: Trx) {
  const { userId, projectId } = keeperOf(context, principal, input.userId);
  if (projectId !== null) await reauthorize(context, principal, projectId, "oncall:write", trx);
  const { id } = await insertDaysOff(context, trx, { userId, createdBy: principal.userId }, input);
  return readBack(context, principal, id, trx);
}

/** Of a user whose days off the caller may keep. @throws VALIDATION_FAILED, LIMIT_REACHED */
export async function insertDaysOff(
  context: OnCallContext,
  trx: Trx,
  { userId, createdBy }: Pick<DaysOffRow, "userId" | "createdBy">,
  input: CreateDaysOff,
): Promise<DaysOffRow> {
  context.storage.requireSpace();
  const now = context.clock.now();
  const row = DaysOff.newRow(input, { id: uuidv7(), userId, createdBy, createdAt: now, updatedAt: now });
  const past = trx.deleteFrom("oncall_days_off").where("userId", "=", userId);
  await past.where("lastDay", "<", dayOf(now - KEPT_MS)).execute();
  const others = await comingOf(trx, userId, now);
  if (others.length >= MAX_ENTRIES)
    throw new PrismError("LIMIT_REACHED", `A user has at most ${MAX_ENTRIES} entries of present and future days off`);
  await requireDays(context, row, others, trx);
  await trx.insertInto("oncall_days_off").values(row).execute();
  await record(context, "create", row, trx);
  return row;
}

/** @throws DAYS_OFF_NOT_FOUND, VERSION_CONFLICT, and as {@link createDaysOff} */
async function updateDaysOff(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateDaysOff,
) {
  await change(context, principal, id, ifMatch, async (trx, old, now) => {
    const changes = { ...DaysOff.columns(input), version: old.version + 1, updatedAt: now };
    const next = { ...old, ...changes };
    if (next.firstDay !== old.firstDay || next.lastDay !== old.lastDay) {
      const others = (await comingOf(trx, old.userId, now)).filter((other) => other.id !== id);
      await requireDays(context, next, others, trx);
    }
    await trx.updateTable("oncall_days_off").set(changes).where("id", "=", id).execute();
    await record(context, "update", next, trx);
  });
  return readBack(context, principal, id, context.db.read);
}

/** @throws DAYS_OFF_NOT_FOUND, VERSION_CONFLICT */
function deleteDaysOff(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
): Promise<void> {
  return change(context, principal, id, ifMatch, async (trx, old) => {
    await trx.deleteFrom("oncall_days_off").where("id", "=", id).execute();
    await record(context, "delete", old, trx);
  });
}

/** Changes days off in one transaction, in which the right is checked again. */
async function change(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  apply: (trx: Trx, old: ZonedRow, now: EpochMs) => Promise<void>,
): Promise<void> {
  const { db, storage, clock } = context;
  storage.requireSpace();
  await db.write(async (trx) => {
    const { row, projectId } = await ownOrManaged(context, principal, id, trx);
    if (projectId !== null) await reauthorize(context, principal, projectId, "oncall:write", trx);
    requireVersion(ifMatch, row.version);
    await apply(trx, row, clock.now());
  });
}

/**
 * Whose days off are meant. @returns the project whose rights the caller uses; null: its own
 * @throws USER_NOT_FOUND, UNAUTHORIZED_ROLE, FORBIDDEN for the operator without a user
 */
function keeperOf(context: OnCallContext, principal: PermissionHolder, ref: string | undefined) {
  const { users, projects } = context;
  if (ref === undefined || ref === "me") return { userId: requireAccount(principal).userId, projectId: null };
  const userId = users.findAny(ref);
  if (userId !== undefined && userId === principal.userId) return { userId, projectId: null };
  if (!projects.hasAnywhere(principal, "oncall:write")) throw missingPermission("oncall:write");
  const projectId = userId === undefined ? undefined : managedIn(context, principal, userId);
  if (userId === undefined || projectId === undefined) throw new PrismError("USER_NOT_FOUND", "No such user");
  return { userId, projectId };
}

/** A project in which the caller may change schedules and the user may be on call. */
function managedIn({ users, projects }: OnCallContext, principal: PermissionHolder, userId: string) {
  return projects.sharedWith(principal, "oncall:write", (id) => users.reachable([userId], id).length > 0);
}

async function ownOrManaged(context: OnCallContext, principal: PermissionHolder, id: string, db: ReadDb | Trx) {
  const row = isUuid(id) ? await queries.findDaysOff(db, id) : undefined;
  if (row && row.userId === principal.userId) return { row, projectId: null };
  const projectId = row && managedIn(context, principal, row.userId);
  if (row && projectId !== undefined) return { row, projectId };
  throw new PrismError("DAYS_OFF_NOT_FOUND", "No such days off");
}

/** @throws VALIDATION_FAILED */
async function requireDays({ clock }: OnCallContext, row: DaysOffRow, others: readonly ZonedRow[], trx: Trx) {
  const { firstDay, lastDay } = row;
  for (const [path, day] of Object.entries({ firstDay, lastDay }))
    if (Number.isNaN(midnightOf(day))) throw invalidField("body", path, "is no day of the calendar");
  const count = countDays(firstDay, lastDay);
  if (count < 1) throw invalidField("body", "lastDay", "must not be before firstDay");
  if (count > MAX_DAYS) throw invalidField("body", "lastDay", `must be at most ${MAX_DAYS} days, not ${count}`);
  const user = await trx.selectFrom("users").select("timezone").where("id", "=", row.userId).executeTakeFirstOrThrow();
  if (toAway({ ...row, ...user }).end <= clock.now()) throw invalidField("body", "lastDay", "must not be in the past");
  const other = others.find((each) => each.firstDay <= lastDay && each.lastDay >= firstDay);
  if (other) throw invalidField("body", "firstDay", `the user is already away ${daysText(other)}`);
}

/** Has the schedules that name the user looked at. */
async function record(context: OnCallContext, verb: "create" | "update" | "delete", row: DaysOffRow, trx: Trx) {
  const { id, userId, firstDay, lastDay } = row;
  await recordAction(context, trx, `oncall_days_off.${verb}`, id, { userId, firstDay, lastDay });
  const now = context.clock.now();
  for (const schedule of await queries.schedulesWith(trx, userId)) await noteChange(trx, schedule.id, now);
}

async function readBack(context: OnCallContext, principal: PermissionHolder, id: string, db: ReadDb | Trx) {
  const { row } = await ownOrManaged(context, principal, id, db);
  const view = await answer(context, principal, row, db);
  const named = await queries.schedulesWith(db, row.userId);
  const schedules = named.filter(({ projectId }) => context.projects.has(principal, projectId, "events:read"));
  const away = toAway(row);
  const from = Math.max(context.clock.now(), away.start);
  const warnings = await conflictsOn(context, db, schedules, [away], { from, to: away.end });
  return { ...view, warnings };
}

async function answer(context: OnCallContext, principal: PermissionHolder, row: ZonedRow, db: ReadDb | Trx) {
  const [view] = await viewsOf(context, principal, [row], db);
  if (!view) throw new TypeError("a row has a view");
  return view;
}

/** The note is for the user and those who may change the days off. */
async function viewsOf(context: OnCallContext, principal: Principal, rows: readonly ZonedRow[], db: ReadDb | Trx) {
  const people = await peopleOf(
    db,
    rows.map(({ userId }) => ({ users: [userId] })),
  );
  const mayChange = new Map<string, boolean>();
  for (const { userId } of rows)
    if (!mayChange.has(userId))
      mayChange.set(
        userId,
        principal.kind !== "apiKey" &&
          (userId === principal.userId || managedIn(context, principal, userId) !== undefined),
      );
  return rows.flatMap((row) =>
    people([row.userId]).map((user) => viewOf(row, user, mayChange.get(row.userId) === true)),
  );
}

function viewOf(row: ZonedRow, user: UserName, withNote: boolean) {
  const { start, end, timezone } = toAway(row);
  const times = { timezone, start: toRfc3339(start), end: toRfc3339(end) };
  return DaysOff.view(row, { user, ...times, note: withNote ? row.note : null });
}

/** Answers a repeated Idempotency-Key with the first answer. @param request all that the key is for */
function createOnce<V extends { readonly version: number }>(
  { idempotency }: OnCallContext,
  exchange: Exchange,
  request: unknown,
  create: (trx: Trx, principal: PermissionHolder) => Promise<V>,
): Promise<Reply<V>> {
  const principal = holderOf(exchange);
  const effect = async (trx: Trx): Promise<Reply<V>> => withVersion(await create(trx, principal), { status: 201 });
  return idempotency.run(exchange, principal, request, effect, {});
}

const PATH = "/api/v1/oncall";
const tag = "On-call";
const read = { tag, access: { permission: "events:read", within: "project", keyScope: "events:read" } } as const;
/** One's own, and with `oncall:write` in a project those of its members. */
const keep = { tag, access: { tokenScopes: ["account:own", "oncall:write"] } } as const;
const one = { ...keep, path: `${PATH}/days-off/:id`, params: s.DaysOffParams } as const;

/** Days off of users, and when they are on call on them. */
export function serveDaysOff(server: FeatureServer, context: OnCallContext): void {
  server.route({
    ...keep,
    method: "GET",
    path: `${PATH}/days-off`,
    id: "listOnCallDaysOff",
    summary: "List the days off of a user, in order",
    query: s.ListDaysOff,
    response: s.DaysOffList,
    errors: ["USER_NOT_FOUND", "UNAUTHORIZED_ROLE"],
    handle: (exchange, { query }) => listDaysOff(context, holderOf(exchange), query),
  });
  server.route({
    ...keep,
    method: "POST",
    path: `${PATH}/days-off`,
    id: "createOnCallDaysOff",
    summary: "Add days off of a user",
    details: "The user stays on call until a swap or override is taken; `warnings` names the shifts on these days.",
    body: s.CreateDaysOff,
    status: 201,
    response: () => s.DaysOff.View,
    errors: ["USER_NOT_FOUND", "UNAUTHORIZED_ROLE", "PROJECT_NOT_FOUND", "LIMIT_REACHED", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { body }) {
      const principal = holderOf(exchange);
      return createOnce(context, exchange, body, (trx) => createDaysOff(context, principal, body, trx));
    },
  });
  server.route({
    ...one,
    method: "GET",
    id: "getOnCallDaysOff",
    summary: "Get days off",
    response: () => s.DaysOff.View,
    errors: ["DAYS_OFF_NOT_FOUND"],
    async handle(exchange, { params }) {
      const principal = holderOf(exchange);
      const { row } = await ownOrManaged(context, principal, params.id, context.db.read);
      return withVersion(await answer(context, principal, row, context.db.read));
    },
  });
  server.route({
    ...one,
    method: "PUT",
    id: "updateOnCallDaysOff",
    summary: "Change days off",
    body: s.UpdateDaysOff,
    response: () => s.DaysOff.View,
    errors: ["DAYS_OFF_NOT_FOUND", "UNAUTHORIZED_ROLE", "PROJECT_NOT_FOUND", "VERSION_CONFLICT"],
    async handle(exchange, { params, body }) {
      const ifMatch = exchange.header("if-match");
      return withVersion(await updateDaysOff(context, holderOf(exchange), params.id, ifMatch, body));
    },
  });
  server.route({
    ...one,
    method: "DELETE",
    id: "deleteOnCallDaysOff",
    summary: "Delete days off",
    errors: ["DAYS_OFF_NOT_FOUND", "UNAUTHORIZED_ROLE", "PROJECT_NOT_FOUND", "VERSION_CONFLICT"],
    handle: (exchange, { params }) =>
      deleteDaysOff(context, holderOf(exchange), params.id, exchange.header("if-match")),
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/schedules/:id/days-off`,
    params: ScheduleParams,
    id: "listOnCallScheduleDaysOff",
    summary: "List the days off of all users of a schedule",
    query: Range,
    response: s.DaysOffOfSchedule,
    errors: ["SCHEDULE_NOT_FOUND"],
    handle: (exchange, { params, query }) => daysOffOfSchedule(context, callerOf(exchange), params.id, query),
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/conflicts`,
    id: "listOnCallConflicts",
    summary: "List times at which users are on call on their days off",
    query: s.ConflictsQuery,
    response: s.Conflicts,
    errors: ["PROJECT_NOT_FOUND", "SCHEDULE_NOT_FOUND", "USER_NOT_FOUND"],
    handle: (exchange, { query }) => readConflicts(context, callerOf(exchange), query),
  });
}
