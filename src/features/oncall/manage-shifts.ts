import { sql } from "kysely";
import type * as v from "valibot";
import type { PermissionHolder, Principal } from "../../core/caller.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { type Access, managed, type Projects, type WithIssued } from "../access/index.ts";
import { warningsOf } from "./conflicts.ts";
import { OVERRIDE_LEVEL } from "./model/layers.ts";
import * as queries from "./queries.ts";
import { type OnCallContext, ownSchedule, visibleSchedule } from "./schedules.ts";
import type { OnCallRow, ShiftRow } from "./schema.ts";
import * as s from "./schema.ts";
import { OVERRIDES, SHIFTS, type ShiftForm, SWAPS } from "./shift-views.ts";
import * as rows from "./shifts.ts";

type Place = v.InferOutput<typeof s.ScheduleParams>;

type Stored = WithIssued<ShiftRow, Awaited<ReturnType<typeof warningsFor>>>;

/** A request for a new one, and the id of the schedule that gets it. */
interface Wanted<C> {
  readonly id: string;
  readonly input: C;
}

const PATH = "/api/v1/oncall/schedules/:id";
const below = { tag: "On-call", params: s.ShiftParams, partOf: { params: s.ScheduleParams, key: "shiftId" } } as const;
const read = { permission: "events:read", within: "project", keyScope: "events:read" } as const;
/** Members may do it for their own shifts. */
const member = { permission: "events:read", within: "project" } as const;
const write = { permission: "oncall:write", within: "project" } as const;

const listErrors = ["SCHEDULE_NOT_FOUND", "INVALID_CURSOR"] as const;
const getErrors = ["SCHEDULE_NOT_FOUND"] as const;
const updateErrors = ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE", "RECIPIENT_NOT_FOUND"] as const;
const createErrors = [...updateErrors, "LIMIT_REACHED"] as const;
const removeErrors = ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE", "VERSION_CONFLICT"] as const;

export const onCallShifts = managed({
  ...{ ...below, path: `${PATH}/shifts`, names: ["OnCallShift", "OnCallShifts"], access: accessOf(SHIFTS) },
  callers: { read, write },
  answer: () => s.Shift.View,
  list: {
    summary: "List the shifts and rotations of a schedule, newest first",
    ...{ errors: listErrors, query: s.ListShifts, answer: () => pageOf(s.Shift.View), page: pageFor(SHIFTS) },
  },
  get: { summary: "Get a shift or a rotation", errors: getErrors },
  create: {
    summary: "Create a shift or a rotation",
    ...{ errors: createErrors, body: s.CreateShift, ...creating<s.CreateShift>(SHIFTS) },
  },
  update: {
    ...{ method: "PUT", errors: updateErrors, body: s.UpdateShift },
    summary: "Change a shift or a rotation from now on; past times do not change",
    prepare: (_context, _caller, body) => body,
  },
  remove: {
    summary: "Delete a shift or a rotation from now on; past times do not change",
    errors: removeErrors,
  },
  view: ({ clock }, _caller, row) => SHIFTS.view(row, clock.now()),
  extra: warningsFor,
  in: {
    async insert(context, trx, caller, { id, input }): Promise<Stored> {
      const schedule = await scheduleIn(trx, id);
      const blank = rows.blank(schedule, caller, context.clock.now());
      return { row: await rows.insertShift(context, trx, rows.newShift(context, schedule, blank, input)) };
    },
    async change(context, trx, old, input) {
      const schedule = await scheduleIn(trx, old.scheduleId);
      return { row: await rows.changeShift(context, trx, old, rows.changedShift(context, schedule, old, input)) };
    },
    remove: rows.removeShift,
  },
});

export const onCallOverrides = managed({
  ...{ ...below, path: `${PATH}/overrides`, names: ["OnCallOverride", "OnCallOverrides"], access: accessOf(OVERRIDES) },
  callers: { read, write: member },
  answer: s.OverrideView,
  list: {
    summary: "List the overrides of a schedule, newest first",
    ...{ errors: listErrors, query: s.ListShifts, answer: pageOf(s.OverrideView), page: pageFor(OVERRIDES) },
  },
  get: { summary: "Get an override", errors: getErrors },
  create: {
    summary: "Put other users on call for a span of time",
    details: "Members may replace themselves; to replace others `oncall:write` is needed.",
    ...{ errors: createErrors, body: s.CreateOverride, ...creating<s.CreateOverride>(OVERRIDES) },
  },
  update: {
    ...{ method: "PUT", errors: updateErrors, body: s.UpdateOverride },
    summary: "Change an override from now on; past times do not change",
    prepare: (_context, _caller, body) => body,
  },
  remove: { summary: "Delete an override from now on; past times do not change", errors: removeErrors },
  view: ({ clock }, _caller, row) => OVERRIDES.view(row, clock.now()),
  extra: warningsFor,
  in: {
    async insert(context, trx, caller, { id, input }): Promise<Stored> {
      const schedule = await scheduleIn(trx, id);
      const blank = rows.blank(schedule, caller, context.clock.now());
      const given = { ...blank, kind: "override", level: OVERRIDE_LEVEL } as const;
      return { row: await rows.insertShift(context, trx, rows.overrideOf(context, caller, schedule, given, input)) };
    },
    async change(context, trx, old, input, caller) {
      const schedule = await scheduleIn(trx, old.scheduleId);
      return { row: await rows.changeShift(context, trx, old, rows.overrideOf(context, caller, schedule, old, input)) };
    },
    remove: rows.removeShift,
  },
});

export const onCallSwaps = managed({
  ...{ ...below, path: `${PATH}/swaps`, names: ["OnCallSwap", "OnCallSwaps"], access: accessOf(SWAPS) },
  callers: { read, write: member },
  answer: s.SwapView,
  list: {
    summary: "List the swaps of a schedule, newest first",
    ...{ errors: listErrors, query: s.ListShifts, answer: pageOf(s.SwapView), page: pageFor(SWAPS) },
  },
  get: { summary: "Get a swap", errors: getErrors },
  create: {
    summary: "Ask another user to take over the shifts of a span of time",
    ...{ errors: createErrors, body: s.CreateSwap, ...creating<s.CreateSwap>(SWAPS) },
  },
  remove: { id: "cancelOnCallSwap", summary: "Cancel a swap from now on", errors: removeErrors },
  view: ({ clock }, _caller, row) => SWAPS.view(row, clock.now()),
  extra: warningsFor,
  state: ({ state }) => state,
  in: {
    insert: async (context, trx, caller, { id, input }): Promise<Stored> => ({
      row: await rows.insertShift(context, trx, rows.newSwap(context, caller, await scheduleIn(trx, id), input)),
    }),
    /** Another user takes it. */
    change: async (context, trx, old, takenBy: string) => ({ row: await rows.takeShifts(context, trx, old, takenBy) }),
    remove: rows.removeShift,
  },
});

/** The schedule as the caller may see it. Whom it names may ask for a swap and take one. */
function seen(form: rows.AnyForm, projects: Projects, caller: Principal, id: string, db: ReadDb | Trx) {
  return (form === SWAPS ? ownSchedule : visibleSchedule)({ projects }, caller, id, db);
}

/** @throws UNAUTHORIZED_ROLE, for who may not change the shifts of the schedule */
async function changeable(form: rows.AnyForm, projects: Projects, caller: Principal, id: string, trx: Trx) {
  const schedule = await seen(form, projects, caller, id, trx);
  if (form === SHIFTS && !projects.has(caller, schedule.projectId, "oncall:write"))
    throw missingPermission("oncall:write");
  return schedule;
}

/** A member may change and delete what concerns only the member's own shifts. */
function accessOf(form: rows.AnyForm): Access<ShiftRow, Place> {
  return {
    rights: { read: "events:read", write: "oncall:write", missing: "SHIFT_NOT_FOUND" },
    async visible(projects, caller, shiftId, db, { id }) {
      await seen(form, projects, caller, id, db);
      return rows.anyShift(db, { id, shiftId }, form);
    },
    async writable(projects, given: PermissionHolder, shiftId, trx, { id }) {
      const caller = projects.current(given);
      const schedule = await changeable(form, projects, caller, id, trx);
      const row = await rows.currentShift(trx, { id, shiftId }, form);
      if (row.swapFor === null || row.swapFor !== caller.userId) rows.requireWriter({ projects }, caller, schedule);
      return row;
    },
  };
}

function creating<C>(form: rows.AnyForm) {
  return {
    storesAnswer: {},
    prepare: (_context: OnCallContext, _caller: PermissionHolder, input: C, { id }: Place): Wanted<C> => ({
      id,
      input,
    }),
    async admit({ projects }: OnCallContext, trx: Trx, caller: PermissionHolder, wanted: Wanted<C>) {
      await changeable(form, projects, projects.current(caller), wanted.id, trx);
      return wanted;
    },
  };
}

function pageFor<V>(form: ShiftForm<V>) {
  return async (context: OnCallContext, caller: Principal, { include, ...query }: s.ListShifts, { id }: Place) => {
    const { db, projects, clock } = context;
    await seen(form, projects, caller, id, db.read);
    const current = include === "past" ? sql`true` : sql`validUntil is null`;
    const visible = sql<boolean>`scheduleId = ${id} and kind in (${sql.join(form.kinds)}) and ${current}`;
    const now = clock.now();
    return s.shiftList.page(db, { visible, state: undefined }, query, () => (row) => form.view(row, now));
  };
}

/** Days off of users whom a change puts on call. */
async function warningsFor(context: OnCallContext, { scheduleId: id, id: shiftId }: ShiftRow, db: ReadDb | Trx) {
  return { warnings: await warningsOf(context, db, { id, shiftId }) };
}

async function scheduleIn(trx: Trx, id: string): Promise<OnCallRow> {
  const schedule = await queries.findSchedule(trx, id);
  if (!schedule) throw new TypeError("a shift is of a schedule");
  return schedule;
}
