import { sql } from "kysely";
import { invalidField, PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import type { PermissionHolder, Principal } from "../../core/principal.ts";
import { type EpochMs, parseRfc3339 } from "../../core/time/clock.ts";
import { requireVersion } from "../../http/body/negotiation.ts";
import { missingPermission, requireAccount } from "../../http/server/access.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { recordAction } from "../records/audit/index.ts";
import { warningsOf } from "./conflicts.ts";
import { OVERRIDE_LEVEL } from "./model/layers.ts";
import { occurrences, type ShiftRecurrence } from "./model/recurrence.ts";
import * as queries from "./queries.ts";
import { spanOf, timesOf } from "./roster.ts";
import { changeSchedule, noteChange, type OnCallContext, ownSchedule, visibleSchedule } from "./schedules.ts";
import {
  type CreateOverride,
  type CreateShift,
  type CreateSwap,
  type ListShifts,
  type OnCallRow,
  Shift,
  type ShiftParams,
  type ShiftRow,
  shiftList,
  type TakeSwap,
  type UpdateOverride,
  type UpdateShift,
} from "./schema.ts";
import { localText, OVERRIDES, SHIFTS, type ShiftForm, SWAPS, swapView } from "./shift-views.ts";

/** Current shifts, overrides and swaps of one schedule: each of them is read for every answer. */
const MAX_SHIFTS = 500;

type AnyForm = ShiftForm<unknown>;

/** @throws SCHEDULE_NOT_FOUND, UNAUTHORIZED_ROLE, RECIPIENT_NOT_FOUND, LIMIT_REACHED */
export async function createShift(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  input: CreateShift,
  trx: Trx,
) {
  const shiftId = await addShift(context, principal, id, "oncall:write", trx, (schedule, now) => {
    const { level = 0, name = "" } = input;
    const row = {
      ...blank(schedule, principal, now),
      ...shiftColumns(context, schedule, input, input.turns),
      level,
      name,
    };
    requireTimes(row);
    return row;
  });
  return readChanged(context, principal, { id, shiftId }, SHIFTS, trx);
}

/** Inserts a row in the caller's transaction. */
function addShift(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  right: "oncall:write" | "events:read" | "own",
  trx: Trx,
  rowOf: (schedule: OnCallRow, now: EpochMs) => ShiftRow,
): Promise<string> {
  const add = (_trx: Trx, schedule: OnCallRow, now: EpochMs) => insert(context, trx, rowOf(schedule, now), now);
  return changeSchedule(context, principal, id, right, add, { trx });
}

/**
 * Ends the earlier form of the shift now and starts the new one: past times do not change.
 * @throws SHIFT_NOT_FOUND, VERSION_CONFLICT, and as {@link createShift}
 */
export async function updateShift(
  context: OnCallContext,
  principal: PermissionHolder,
  params: ShiftParams,
  ifMatch: string,
  input: UpdateShift,
) {
  await changeSchedule(context, principal, params.id, "oncall:write", async (trx, schedule, now) => {
    const old = await currentShift(trx, params, SHIFTS);
    requireVersion(ifMatch, old.version);
    const { level = old.level, name = old.name, turns = null } = input;
    const next = { ...old, ...shiftColumns(context, schedule, merged(old, input), turns), level, name };
    requireTimes(next);
    await change(context, trx, old, next, now);
  });
  return readChanged(context, principal, params, SHIFTS);
}

/**
 * Deletes a shift, override or swap from now on; past times do not change. A member may delete what concerns
 * only the member's own shifts. @throws SHIFT_NOT_FOUND, UNAUTHORIZED_ROLE, VERSION_CONFLICT
 */
export function deleteShift(
  context: OnCallContext,
  principal: PermissionHolder,
  params: ShiftParams,
  form: AnyForm,
  ifMatch: string,
): Promise<void> {
  const right = form === SWAPS ? "own" : "events:read";
  return changeSchedule(context, principal, params.id, right, async (trx, schedule, now) => {
    const old = await currentShift(trx, params, form);
    if (old.swapFor === null || old.swapFor !== principal.userId) requireWriter(context, principal, schedule);
    requireVersion(ifMatch, old.version);
    if (hasBegun(old, now)) await queries.replaceShift(trx, { ...old, validUntil: now, updatedAt: now });
    else await queries.deleteShift(trx, old.id);
    await recordAction(context, trx, "oncall_shift.delete", old.id, facts(old));
    await noteChange(trx, schedule.id, now);
  });
}

/** @throws SCHEDULE_NOT_FOUND, UNAUTHORIZED_ROLE, RECIPIENT_NOT_FOUND, LIMIT_REACHED */
export async function createOverride(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  input: CreateOverride,
  trx: Trx,
) {
  const shiftId = await addShift(context, principal, id, "events:read", trx, (schedule, now) => {
    const row = { ...blank(schedule, principal, now), kind: "override", level: OVERRIDE_LEVEL } as const;
    return overrideOf(context, principal, schedule, { ...row, swapFor: null }, input);
  });
  return readChanged(context, principal, { id, shiftId }, OVERRIDES, trx);
}

/** @throws SHIFT_NOT_FOUND, VERSION_CONFLICT, and as {@link createOverride} */
export async function updateOverride(
  context: OnCallContext,
  principal: PermissionHolder,
  params: ShiftParams,
  ifMatch: string,
  input: UpdateOverride,
) {
  await changeSchedule(context, principal, params.id, "events:read", async (trx, schedule, now) => {
    const old = await currentShift(trx, params, OVERRIDES);
    requireVersion(ifMatch, old.version);
    if (old.swapFor !== principal.userId) requireWriter(context, principal, schedule);
    await change(context, trx, old, overrideOf(context, principal, schedule, old, input), now);
  });
  return readChanged(context, principal, params, OVERRIDES);
}

/** @throws SCHEDULE_NOT_FOUND, UNAUTHORIZED_ROLE, RECIPIENT_NOT_FOUND, LIMIT_REACHED */
export async function createSwap(
  context: OnCallContext,
  principal: PermissionHolder,
  id: string,
  input: CreateSwap,
  trx: Trx,
) {
  const shiftId = await addShift(context, principal, id, "own", trx, (schedule, now) => ({
    ...blank(schedule, principal, now),
    ...spanColumns(input.start, input.end),
    kind: "swap",
    level: OVERRIDE_LEVEL,
    name: input.reason ?? "",
    swapFor: oneOf(context, principal, schedule, input.userId),
    turns: "[[]]",
  }));
  return readChanged(context, principal, { id, shiftId }, SWAPS, trx);
}

/** @throws SHIFT_NOT_FOUND, INVALID_STATE, RECIPIENT_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function takeSwap(
  context: OnCallContext,
  principal: PermissionHolder,
  params: ShiftParams,
  input: TakeSwap,
) {
  await changeSchedule(context, principal, params.id, "own", async (trx, schedule, now) => {
    const old = await currentShift(trx, params, SWAPS);
    const user = oneOf(context, principal, schedule, input.userId);
    const { state } = swapView(old, now);
    if (state !== "open") throw new PrismError("INVALID_STATE", `The swap is ${state}`);
    if (user === old.swapFor) throw new PrismError("INVALID_STATE", "Users cannot take their own shifts");
    // A swap that is taken late is in effect from now on.
    const next = { ...old, turns: JSON.stringify([[user]]), validFrom: now, version: old.version + 1, updatedAt: now };
    await queries.replaceShift(trx, next);
    await recordAction(context, trx, "oncall_shift.take", old.id, { ...facts(next), takenBy: user });
    await noteChange(trx, schedule.id, now);
  });
  return readChanged(context, principal, params, SWAPS);
}

/** @throws SCHEDULE_NOT_FOUND, SHIFT_NOT_FOUND */
export async function readShift<V>(
  context: OnCallContext,
  principal: Principal,
  params: ShiftParams,
  form: ShiftForm<V>,
  trx?: Trx,
): Promise<V> {
  const db = trx ?? context.db.read;
  await finderOf(form)(context, principal, params.id, db);
  const row = await anyShift(db, params, form);
  return form.view(row, context.clock.now());
}

/** {@link readShift} after a change, with the days off of users whom it puts on call. */
async function readChanged<V>(...given: Parameters<typeof readShift<V>>) {
  const [context, , params, , trx] = given;
  const view = await readShift(...given);
  return { ...view, warnings: await warningsOf(context, trx ?? context.db.read, params) };
}

/** @throws SCHEDULE_NOT_FOUND, INVALID_CURSOR */
export async function listShifts<V>(
  context: OnCallContext,
  principal: Principal,
  scheduleId: string,
  form: ShiftForm<V>,
  { include, ...query }: ListShifts,
) {
  const { db, clock } = context;
  await finderOf(form)(context, principal, scheduleId, db.read);
  const current = include === "past" ? sql`true` : sql`validUntil is null`;
  const visible = sql<boolean>`scheduleId = ${scheduleId} and kind in (${sql.join(form.kinds)}) and ${current}`;
  const now = clock.now();
  return shiftList.page(db, { visible, state: undefined }, query, () => (row) => form.view(row, now));
}

/** Whom a schedule names may ask for a swap and take one. */
function finderOf(form: AnyForm) {
  return form === SWAPS ? ownSchedule : visibleSchedule;
}

function blank({ id: scheduleId }: OnCallRow, { userId }: PermissionHolder, now: EpochMs): ShiftRow {
  return Shift.newRow(
    { start: "", durationMs: 0, turns: [[]] },
    { id: uuidv7(), scheduleId, createdBy: userId, createdAt: now, updatedAt: now },
  );
}

/** A stored shift with the members of a request. */
function merged(row: ShiftRow, input: UpdateShift): CreateShift {
  return {
    start: input.start ?? row.startLocal,
    durationMs: input.durationMs ?? row.durationMs,
    timezone: input.timezone ?? row.timezone,
    startTurn: input.startTurn ?? row.startTurn,
    recurrence:
      input.recurrence === undefined ? (timesOf(row).recurrence as CreateShift["recurrence"]) : input.recurrence,
    turns: input.turns ?? Shift.value(row, "turns"),
  };
}

/** @param given the turns of the request; null: stored ones, whose users are not checked again */
function shiftColumns(
  { users }: OnCallContext,
  schedule: OnCallRow,
  input: CreateShift,
  given: CreateShift["turns"] | null,
) {
  const resolved = (given ?? []).map((refs, at) => users.existing(refs, schedule.projectId, `turns.${at}`));
  const recurrence: ShiftRecurrence | null = input.recurrence
    ? { ...input.recurrence, interval: input.recurrence.interval ?? 1 }
    : null;
  return {
    kind: recurrence ? ("rotation" as const) : ("single" as const),
    startLocal: localText(parseRfc3339(`${input.start.padEnd(19, ":00")}Z`) ?? Number.NaN),
    durationMs: input.durationMs,
    timezone: input.timezone ?? schedule.timezone,
    recurrence: recurrence && JSON.stringify(recurrence),
    turns: JSON.stringify(given ? resolved : input.turns),
    startTurn: (input.startTurn ?? 0) % input.turns.length,
  };
}

/** Shifts of a rotation on call at a time: each of them is read for every answer. */
const MAX_OVERLAPPING = 50;
/** The first occurrences show how dense a recurrence is. */
const LOOKED_AT = 500;

/**
 * @throws VALIDATION_FAILED for a day that does not exist, a recurrence without a shift, and one whose shifts overlap
 * too many others
 */
function requireTimes(row: ShiftRow): void {
  if (row.startLocal === "") throw invalidField("body", "start", "is no date and time of the calendar from 2000 on");
  const ends: EpochMs[] = [];
  for (const { start, end } of occurrences(timesOf(row), Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)) {
    if ((ends.at(-MAX_OVERLAPPING) ?? 0) > start && ends.length >= MAX_OVERLAPPING)
      throw invalidField("body", "durationMs", `is too long: more than ${MAX_OVERLAPPING} shifts would overlap`);
    if (ends.push(end) >= LOOKED_AT) break;
  }
  if (ends.length === 0) throw invalidField("body", "recurrence", "names no day that ever comes");
}

function spanColumns(start: EpochMs, end: EpochMs) {
  return { startLocal: new Date(start).toISOString().slice(0, -1), durationMs: end - start, timezone: "UTC" };
}

/** Members may only replace themselves. */
function overrideOf(
  context: OnCallContext,
  principal: PermissionHolder,
  schedule: OnCallRow,
  old: ShiftRow,
  input: UpdateOverride,
): ShiftRow {
  const { projectId } = schedule;
  const ref = input.replaces === undefined ? old.swapFor : input.replaces;
  if (ref === null || context.users.find(ref) !== principal.userId) requireWriter(context, principal, schedule);
  const isNew = input.replaces !== undefined && ref !== null;
  const replaced = isNew ? context.users.existingOne(ref, projectId, "replaces") : ref;
  const stored = old.startLocal === "" ? { start: 0, end: 0 } : spanOf(old);
  const { start = stored.start, end = stored.end, reason = old.name } = input;
  if (start >= end) throw invalidField("body", "end", "must be after start");
  const users = input.users && context.users.existing(input.users, projectId, "users");
  const turns = users ? JSON.stringify([users]) : old.turns;
  return { ...old, ...spanColumns(start, end), swapFor: replaced, turns, name: reason };
}

/** The user of a swap: the caller, or another one for callers who may change the schedule. */
function oneOf(
  context: OnCallContext,
  principal: PermissionHolder,
  schedule: OnCallRow,
  ref: string | undefined,
): string {
  const { users } = context;
  if (ref === undefined) return requireAccount(principal).userId;
  if (users.find(ref) !== principal.userId) requireWriter(context, principal, schedule);
  return users.existingOne(ref, schedule.projectId, "userId");
}

function requireWriter({ projects }: OnCallContext, principal: PermissionHolder, { projectId }: OnCallRow): void {
  if (!projects.has(principal, projectId, "oncall:write"))
    throw missingPermission("oncall:write", "or replace only yourself");
}

async function insert(context: OnCallContext, trx: Trx, row: ShiftRow, now: EpochMs): Promise<string> {
  const current = (await queries.shiftsOf(trx, row.scheduleId)).filter(({ validUntil }) => validUntil === null);
  if (current.length >= MAX_SHIFTS)
    throw new PrismError("LIMIT_REACHED", `A schedule has at most ${MAX_SHIFTS} shifts, overrides and swaps`);
  // A shift of last week is in effect from now on: past times do not change.
  await queries.insertShift(trx, { ...row, validFrom: startOf(row, now) });
  await recordAction(context, trx, "oncall_shift.create", row.id, facts(row));
  await noteChange(trx, row.scheduleId, now);
  return row.id;
}

/** Stores a changed shift; what was in effect before stays as an earlier form. */
async function change(context: OnCallContext, trx: Trx, old: ShiftRow, changed: ShiftRow, now: EpochMs): Promise<void> {
  const isBegun = hasBegun(old, now);
  if (isBegun) await queries.insertShift(trx, { ...old, id: uuidv7(), currentId: old.id, validUntil: now });
  const next = {
    ...changed,
    version: old.version + 1,
    updatedAt: now,
    validFrom: isBegun ? now : startOf(changed, now),
  };
  await queries.replaceShift(trx, next);
  await recordAction(context, trx, "oncall_shift.update", old.id, facts(next));
  await noteChange(trx, old.scheduleId, now);
}

/** A shift that moves into the past must not change it. */
function startOf(changed: ShiftRow, now: EpochMs): EpochMs | null {
  return hasBegun(changed, now) ? now : changed.validFrom;
}

/** Whether it has put anyone on call. */
function hasBegun(row: ShiftRow, now: EpochMs): boolean {
  if (row.validFrom !== null && row.validFrom >= now) return false;
  const [first] = occurrences(timesOf(row), row.validFrom ?? Number.MIN_SAFE_INTEGER, now);
  return first !== undefined;
}

function facts({ scheduleId, kind, version }: ShiftRow) {
  return { scheduleId, kind, version };
}

async function anyShift(db: ReadDb | Trx, { id, shiftId }: ShiftParams, { kinds }: AnyForm): Promise<ShiftRow> {
  const row = isUuid(shiftId) ? await queries.findShift(db, id, shiftId) : undefined;
  if (row && kinds.includes(row.kind)) return row;
  throw new PrismError("SHIFT_NOT_FOUND", "The schedule has no such shift");
}

async function currentShift(trx: Trx, params: ShiftParams, form: AnyForm): Promise<ShiftRow> {
  const row = await anyShift(trx, params, form);
  if (row.validUntil === null) return row;
  throw new PrismError("SHIFT_NOT_FOUND", "The shift is in the past");
}
