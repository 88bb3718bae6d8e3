import type { PermissionHolder } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import { type EpochMs, parseRfc3339 } from "../../core/time/clock.ts";
import { missingPermission, requireAccount } from "../../http/server/access.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { recordAction } from "../records/audit/index.ts";
import { warningsOf } from "./conflicts.ts";
import { OVERRIDE_LEVEL } from "./model/layers.ts";
import { occurrences, type ShiftRecurrence } from "./model/recurrence.ts";
import * as queries from "./queries.ts";
import { spanOf, timesOf } from "./roster.ts";
import { changeSchedule, noteChange, type OnCallContext } from "./schedules.ts";
import {
  type CreateShift,
  type CreateSwap,
  type OnCallRow,
  Shift,
  type ShiftParams,
  type ShiftRow,
  type TakeSwap,
  type UpdateOverride,
  type UpdateShift,
} from "./schema.ts";
import { localText, type ShiftForm, SWAPS, swapView } from "./shift-views.ts";

/** Current shifts, overrides and swaps of one schedule: each of them is read for every answer. */
const MAX_SHIFTS = 500;

export type AnyForm = ShiftForm<unknown>;

/** A new row of a schedule, without its times and users. */
export function blank({ id: scheduleId }: OnCallRow, { userId }: PermissionHolder, now: EpochMs): ShiftRow {
  return Shift.newRow(
    { start: "", durationMs: 0, turns: [[]] },
    { id: uuidv7(), scheduleId, createdBy: userId, createdAt: now, updatedAt: now },
  );
}

/** The columns of a new shift. @throws VALIDATION_FAILED, RECIPIENT_NOT_FOUND */
export function newShift(context: OnCallContext, schedule: OnCallRow, blank: ShiftRow, input: CreateShift): ShiftRow {
  const { level = 0, name = "" } = input;
  const row = { ...blank, ...shiftColumns(context, schedule, input, input.turns), level, name };
  requireTimes(row);
  return row;
}

/** A changed shift; absent members keep their values. @throws VALIDATION_FAILED, RECIPIENT_NOT_FOUND */
export function changedShift(context: OnCallContext, schedule: OnCallRow, old: ShiftRow, input: UpdateShift): ShiftRow {
  const { level = old.level, name = old.name, turns = null } = input;
  const row = { ...old, ...shiftColumns(context, schedule, merged(old, input), turns), level, name };
  requireTimes(row);
  return row;
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
export function overrideOf(
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

export function newSwap(
  context: OnCallContext,
  caller: PermissionHolder,
  schedule: OnCallRow,
  { start, end, reason = "", userId }: CreateSwap,
): ShiftRow {
  return {
    ...blank(schedule, caller, context.clock.now()),
    ...spanColumns(start, end),
    ...{ kind: "swap", level: OVERRIDE_LEVEL, name: reason, turns: "[[]]" },
    swapFor: oneOf(context, caller, schedule, userId),
  };
}

/** The user of a swap: the caller, or another one for callers who may change the schedule. */
export function oneOf(
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

export function requireWriter(
  { projects }: Pick<OnCallContext, "projects">,
  principal: PermissionHolder,
  { projectId }: Pick<OnCallRow, "projectId">,
): void {
  if (!projects.has(principal, projectId, "oncall:write"))
    throw missingPermission("oncall:write", "or replace only yourself");
}

/** @throws LIMIT_REACHED */
export async function insertShift(context: OnCallContext, trx: Trx, given: ShiftRow): Promise<ShiftRow> {
  context.storage.requireSpace();
  const current = (await queries.shiftsOf(trx, given.scheduleId)).filter(({ validUntil }) => validUntil === null);
  if (current.length >= MAX_SHIFTS)
    throw new PrismError("LIMIT_REACHED", `A schedule has at most ${MAX_SHIFTS} shifts, overrides and swaps`);
  const now = given.createdAt;
  // A shift of last week is in effect from now on: past times do not change.
  const row = { ...given, validFrom: startOf(given, now) };
  await queries.insertShift(trx, row);
  await recordAction(context, trx, "oncall_shift.create", row.id, facts(row));
  await noteChange(trx, row.scheduleId, now);
  return row;
}

/** Ends the earlier form now, where it has begun, and starts the new one: past times do not change. */
export async function changeShift(
  context: OnCallContext,
  trx: Trx,
  old: ShiftRow,
  changed: ShiftRow,
): Promise<ShiftRow> {
  context.storage.requireSpace();
  const now = context.clock.now();
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
  return next;
}

/** Deletes a shift, override or swap from now on; past times do not change. */
export async function removeShift(context: OnCallContext, trx: Trx, old: ShiftRow): Promise<void> {
  context.storage.requireSpace();
  const now = context.clock.now();
  if (hasBegun(old, now)) await queries.replaceShift(trx, { ...old, validUntil: now, updatedAt: now });
  else await queries.deleteShift(trx, old.id);
  await recordAction(context, trx, "oncall_shift.delete", old.id, facts(old));
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

/** @throws SHIFT_NOT_FOUND, INVALID_STATE, RECIPIENT_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function takeSwap(
  context: OnCallContext,
  principal: PermissionHolder,
  params: ShiftParams,
  input: TakeSwap,
) {
  const row = await changeSchedule(context, principal, params.id, "own", async (trx, schedule) => {
    const old = await currentShift(trx, params, SWAPS);
    return takeShifts(context, trx, old, oneOf(context, principal, schedule, input.userId));
  });
  const warnings = await warningsOf(context, context.db.read, params);
  return { ...swapView(row, context.clock.now()), warnings };
}

/** A swap that is taken late is in effect from now on. @throws INVALID_STATE */
export async function takeShifts(context: OnCallContext, trx: Trx, old: ShiftRow, takenBy: string): Promise<ShiftRow> {
  const now = context.clock.now();
  const { state } = swapView(old, now);
  if (state !== "open") throw new PrismError("INVALID_STATE", `The swap is ${state}`);
  if (takenBy === old.swapFor) throw new PrismError("INVALID_STATE", "Users cannot take their own shifts");
  const turns = JSON.stringify([[takenBy]]);
  const row = { ...old, turns, validFrom: now, version: old.version + 1, updatedAt: now };
  await queries.replaceShift(trx, row);
  await recordAction(context, trx, "oncall_shift.take", old.id, { ...facts(row), takenBy });
  await noteChange(trx, old.scheduleId, now);
  return row;
}

/** @throws SHIFT_NOT_FOUND */
export async function anyShift(db: ReadDb | Trx, { id, shiftId }: ShiftParams, { kinds }: AnyForm): Promise<ShiftRow> {
  const row = isUuid(shiftId) ? await queries.findShift(db, id, shiftId) : undefined;
  if (row && kinds.includes(row.kind)) return row;
  throw new PrismError("SHIFT_NOT_FOUND", "The schedule has no such shift");
}

/** As {@link anyShift}, if it is in effect. */
export async function currentShift(trx: Trx, params: ShiftParams, form: AnyForm): Promise<ShiftRow> {
  const row = await anyShift(trx, params, form);
  if (row.validUntil === null) return row;
  throw new PrismError("SHIFT_NOT_FOUND", "The shift is in the past");
}
