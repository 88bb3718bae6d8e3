import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import type { PermissionHolder } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { DAY_MS, type EpochMs, zoneOffsetMs } from "../../core/time/clock.ts";
import { doc, object, text } from "../../http/api/shapes.ts";
import {
  type ConfigKind,
  changedMembers,
  configKind,
  type ObjectVersion,
  type Spec,
  type StoredObject,
  type TurnedShift,
} from "../../module/config-kind.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { valuesOf } from "../../store/sqlite/list-queries.ts";
import { day } from "./days-off-schema.ts";
import { checkedUrl, onCallSchedules } from "./manage.ts";
import { dayOf, midnightOf, spanOfDays } from "./model/away.ts";
import { occurrences, type ShiftOccurrence } from "./model/recurrence.ts";
import type { OnCallContext } from "./schedules.ts";
import * as s from "./schema.ts";
import { type CreateShift, type OnCallRow, OnCallSchedule, Shift, type ShiftRow } from "./schema.ts";
import { SHIFTS } from "./shift-views.ts";
import * as rows from "./shifts.ts";

/* On-call schedules in configuration files, with their shifts. Overrides, swaps, days off and links are left alone. */

type Recurrence = NonNullable<CreateShift["recurrence"]>;

/** A shift of a file: `anchor` says in place of `startTurn` whose a day is. */
type ShiftSpec = CreateShift & {
  readonly anchor?: { readonly on: string; readonly turn: readonly string[] } | undefined;
};

/** A shift with all its members. */
interface FullShift extends CreateShift {
  readonly name: string;
  readonly timezone: string;
  readonly recurrence: (Recurrence & { readonly interval: number }) | null;
  readonly startTurn: number;
}

type ScheduleSpec = Omit<s.CreateOnCallSchedule, "projectId" | "calendarUrl"> & {
  readonly timezone: string;
  readonly calendarUrl?: string | undefined;
  /** Absent: they are not in the files. */
  readonly shifts?: readonly ShiftSpec[] | undefined;
};

export function onCallKind(context: OnCallContext): ConfigKind {
  return configKind<ScheduleSpec, string | undefined>({
    ...{ kind: "oncall", noun: "on-call schedule", resourceType: "oncall_schedule", scope: "project" },
    after: ["people", "members"],
    rights: { read: "events:read", write: "oncall:write" },
    ...{ secrets: ["calendarUrl"], keeps: ["shifts"] },
    defaults: { ...OnCallSchedule.defaults, timezone: context.config.timezone },
    entries() {
      const anchor = object({ on: doc(day, "A day, by the clocks of `timezone`"), turn: s.users });
      const shift = object({ ...Shift.forCreate, anchor: v.optional(doc(anchor, "Whose a day is, for `startTurn`")) });
      return {
        ...OnCallSchedule.forCreate,
        calendarUrl: v.optional(text(2048, 1)),
        shifts: v.optional(v.array(shift)),
      };
    },
    canonical,
    staying: (stored) => stayingShifts(stored as ScheduleSpec),
    secretExamples: async () => ({ calendarUrl: "https://calendar.example.com/duty.ics" }),
    list: async (db, projectId, ids) => (projectId === null ? [] : listed(db, projectId, ids)),
    versions: async (db, projectId) => (projectId === null ? [] : versionsOf(db, projectId)),
    rows: storedRows,
    async prepare({ hasStandIns }, { calendarUrl, shifts = [], timezone }, stored) {
      fullShifts(shifts, timezone);
      if (hasStandIns || calendarUrl === undefined || calendarUrl === stored?.secrets?.["calendarUrl"])
        return undefined;
      return (await checkedUrl(context, calendarUrl)) ?? undefined;
    },
    async create(trx, { caller, projectId }, id, { shifts = [], ...input }, calendarUrl) {
      if (projectId === null) throw new TypeError("a schedule belongs to a project");
      const given = { input, projectId, calendarUrl: calendarUrl ?? null, id };
      const { row } = await onCallSchedules.insert(context, trx, caller, given);
      await storeShifts(context, trx, caller, row, shifts, []);
      return undefined;
    },
    async update(trx, { caller, row: known }, stored, spec, calendarUrl) {
      const { shifts: _, calendarUrl: _url, ...changes } = changedMembers(spec, stored);
      const input = { ...changes, ...(calendarUrl !== undefined && { calendarUrl }) };
      const old = known as StoredRows | undefined;
      let row = old?.row ?? (await storedRow(trx, stored.id));
      if (Object.keys(input).length > 0)
        ({ row } = await onCallSchedules.change(context, trx, row, { input, calendarUrl }, caller));
      if (spec.shifts) await storeShifts(context, trx, caller, row, spec.shifts, old?.shifts);
      return undefined;
    },
    async remove(trx, { caller }, { id }) {
      await onCallSchedules.remove(context, trx, await storedRow(trx, id), caller, {});
    },
    turned: (stored, spec) => turnedShifts(stored.spec as ScheduleSpec, spec as ScheduleSpec, context.clock.now()),
  });
}

async function storedRow(trx: Trx, id: string): Promise<OnCallRow> {
  const row = await OnCallSchedule.find(trx, id);
  if (!row) throw new TypeError("a schedule that is listed is stored");
  return row;
}

interface StoredRows {
  readonly row: OnCallRow;
  readonly shifts: readonly ShiftRow[];
}

async function storedRows(trx: Trx, ids: readonly string[]): Promise<ReadonlyMap<string, StoredRows>> {
  const rows = await trx.selectFrom("oncall_schedules").selectAll().where("id", "in", valuesOf(ids)).execute();
  const shifts = bySchedule(await currentShifts(trx, ids));
  return new Map(rows.map((row) => [row.id, { row, shifts: shifts.get(row.id) ?? [] }]));
}

function bySchedule(shifts: readonly ShiftRow[]): ReadonlyMap<string, ShiftRow[]> {
  const found = new Map<string, ShiftRow[]>();
  for (const shift of shifts) {
    const own = found.get(shift.scheduleId);
    if (own) own.push(shift);
    else found.set(shift.scheduleId, [shift]);
  }
  return found;
}

async function listed(
  db: ReadDb | Trx,
  projectId: string,
  only: readonly string[] | undefined,
): Promise<StoredObject[]> {
  const all = db.selectFrom("oncall_schedules").selectAll().where("projectId", "=", projectId).orderBy("name");
  const schedules = await (only ? all.where("id", "in", valuesOf(only)) : all).execute();
  const ids = schedules.map(({ id }) => id);
  const shifts = bySchedule(await currentShifts(db, ids));
  const calendars = db.selectFrom("oncall_calendars").select(["scheduleId", "url"]);
  const found = await calendars.where("scheduleId", "in", valuesOf(ids)).execute();
  const urls = new Map(found.map(({ scheduleId, url }) => [scheduleId, url]));
  return schedules.map((row) => {
    const own = shifts.get(row.id) ?? [];
    const calendarUrl = urls.get(row.id);
    const named = namedShifts(own).map((shift) => compact(shift, row.timezone));
    const version = versionOf(row, own.length, Math.max(0, ...own.map(({ updatedAt }) => updatedAt)));
    const spec = { ...OnCallSchedule.settable(row), shifts: named };
    return { id: row.id, name: row.name, version, spec, ...(calendarUrl && { secrets: { calendarUrl } }) };
  });
}

async function versionsOf(db: ReadDb | Trx, projectId: string): Promise<ObjectVersion[]> {
  const own = db.selectFrom("oncall_schedules").select(["id", "version"]).where("projectId", "=", projectId);
  const schedules = await own.execute();
  const ids = schedules.map(({ id }) => id);
  const totals = await shiftsInEffect(db, ids)
    .select(({ fn }) => ["scheduleId", fn.countAll<number>().as("count"), fn.max("updatedAt").as("changedAt")])
    .groupBy("scheduleId")
    .execute();
  const byId = new Map(totals.map((each) => [each.scheduleId, each]));
  return schedules.map((row) => {
    const { count = 0, changedAt = 0 } = byId.get(row.id) ?? {};
    return { id: row.id, version: versionOf(row, count, changedAt) };
  });
}

/** A schedule keeps its version when its shifts change. */
function versionOf({ version }: Pick<OnCallRow, "version">, count: number, changedAt: EpochMs): string {
  return `${version}.${count}.${changedAt}`;
}

/** Shifts and rotations in effect, in order of creation. */
function currentShifts(db: ReadDb | Trx, scheduleIds: readonly string[]): Promise<ShiftRow[]> {
  return shiftsInEffect(db, scheduleIds).selectAll().orderBy("id").execute();
}

function shiftsInEffect(db: ReadDb | Trx, scheduleIds: readonly string[]) {
  const all = db.selectFrom("oncall_shifts").where("scheduleId", "in", valuesOf(scheduleIds));
  return all.where("kind", "in", SHIFTS.kinds).where("validUntil", "is", null);
}

function namedShifts(stored: readonly ShiftRow[]): FullShift[] {
  return withNames(stored.map((row) => Shift.settable(row) as unknown as FullShift));
}

/** Each with a name of its own: `Shift 1` without one, `Weeks 2` for one that is there twice. */
function withNames(shifts: readonly FullShift[]): FullShift[] {
  const names = new Set(shifts.map(({ name }) => name));
  const given = new Set([""]);
  return shifts.map((shift) => {
    let { name } = shift;
    for (let n = shift.name === "" ? 1 : 2; given.has(name) || (name !== shift.name && names.has(name)); n++)
      name = `${(shift.name || "Shift").slice(0, 95)} ${n}`;
    given.add(name);
    return { ...shift, name };
  });
}

/** Shifts of a file, complete. @throws VALIDATION_FAILED */
function fullShifts(specs: readonly ShiftSpec[], timezone: string): FullShift[] {
  const names = new Set<string>();
  const shifts = specs.map((spec, at): FullShift => {
    const { name = "", level = 0, durationMs, startTurn = 0, recurrence = null } = spec;
    if (names.has(name) && name !== "") throw invalidField("body", `shifts.${at}.name`, "is the name of another shift");
    names.add(name);
    const full = {
      ...{ name, level, start: spec.start.padEnd(19, ":00"), durationMs, timezone: spec.timezone ?? timezone },
      recurrence: recurrence && { ...recurrence, interval: recurrence.interval ?? 1 },
      turns: spec.turns.map((users) => [...new Set(users)]),
      startTurn: startTurn % spec.turns.length,
    };
    return { ...full, ...(spec.anchor && { startTurn: startTurnOf(full, spec, `shifts.${at}.anchor`) }) };
  });
  return withNames(shifts);
}

/** With their zones: the schedule may get another one. */
function stayingShifts({ shifts = [], timezone }: ScheduleSpec): Spec {
  return { shifts: fullShifts(shifts, timezone) };
}

/** The start turn with which the shift that begins on the day, else the one that goes on in it, has the turn. */
function startTurnOf(shift: FullShift, { anchor, startTurn }: ShiftSpec, path: string): number {
  const { on = "", turn = [] } = anchor ?? {};
  if (startTurn !== undefined) throw invalidField("body", path, "is in place of startTurn");
  if (Number.isNaN(midnightOf(on))) throw invalidField("body", `${path}.on`, "is no day of the calendar");
  const { start: from, end: to } = spanOfDays(on, on, shift.timezone);
  const found = [...occurrencesOf(shift, from, to)];
  const shown = found.find(({ start }) => start >= from) ?? found[0];
  if (!shown) throw invalidField("body", `${path}.on`, "is a day without a shift of it");
  const index = shift.turns.findIndex((users) => keyOf(users) === keyOf(turn));
  if (index < 0) throw invalidField("body", `${path}.turn`, "is none of its turns");
  return (index - (shown.period % shift.turns.length) + shift.turns.length) % shift.turns.length;
}

function keyOf(users: readonly string[]): string {
  return [...new Set(users)].sort().join(" ");
}

/** So far ahead is the next turn of a shift that nobody has now. */
const NEXT_MS = 400 * DAY_MS;

function occurrencesOf(shift: FullShift, from: EpochMs, to: EpochMs) {
  return occurrences({ ...shift, start: Date.parse(`${shift.start}Z`) }, from, to);
}

function turnAt(shift: FullShift, { period }: ShiftOccurrence): readonly string[] {
  return shift.turns[(shift.startTurn + period) % shift.turns.length] ?? [];
}

/** Shifts whose turn of now, or without an anchor their next one, is others' with a changed spec; with the anchors that keep it. */
export function turnedShifts(stored: ScheduleSpec, spec: ScheduleSpec, now: EpochMs) {
  const turns: TurnedShift[] = [];
  if (!spec.shifts) return { turns, kept: spec };
  const [old, wanted] = [stored, spec].map(({ shifts = [], timezone }) => fullShifts(shifts, timezone)) as [
    FullShift[],
    FullShift[],
  ];
  const places = placesOf(wanted, old);
  const shifts = spec.shifts.map((shift, at) => {
    const [before, after] = [old[places[at] ?? -1], wanted[at]];
    const turned = before && after ? turnedShift(before, after, now) : undefined;
    // An anchor may give later turns to others, but it says nothing of who loses the turn of now.
    if (!turned || (shift.anchor && !turned.isNow)) return shift;
    turns.push(turned);
    const { startTurn: _, ...others } = shift;
    return turned.anchor ? { ...others, anchor: turned.anchor } : shift;
  });
  return { turns, kept: { ...spec, shifts } };
}

function turnedShift(stored: FullShift, wanted: FullShift, now: EpochMs): TurnedShift | undefined {
  const [current] = occurrencesOf(stored, now, now + NEXT_MS);
  if (!current || !wanted.recurrence) return undefined;
  const at = Math.max(now, current.start);
  const [there] = occurrencesOf(wanted, at, at + 1);
  const before = turnAt(stored, current);
  if (!there || keyOf(turnAt(wanted, there)) === keyOf(before)) return undefined;
  const turned = { shift: wanted.name, isNow: at === now, at, before, after: turnAt(wanted, there) };
  return { ...turned, anchor: anchorFor(wanted, there, before) };
}

/** The anchor with which these people have an occurrence: on its first day, whose turn begins that day. */
function anchorFor(shift: FullShift, there: ShiftOccurrence, people: readonly string[]) {
  const size = shift.turns.length;
  const index = shift.turns.findIndex((users) => keyOf(users) === keyOf(people));
  const startTurn = (((index - there.period) % size) + size) % size;
  const on = dayOf(there.start + zoneOffsetMs(shift.timezone, there.start));
  const day = spanOfDays(on, on, shift.timezone);
  const first = [...occurrencesOf(shift, day.start, day.end)].find(({ start }) => start >= day.start);
  if (index < 0 || !first) return null;
  const anchor = { on, turn: [...turnAt({ ...shift, startTurn }, first)] };
  const { startTurn: _, ...unturned } = shift;
  const kept = { ...shift, startTurn: startTurnOf(shift, { ...unturned, anchor }, "anchor") };
  // Of equal turns an anchor means the first.
  return keyOf(turnAt(kept, there)) === keyOf(people) ? anchor : null;
}

/** Without what is a default. */
function compact({ name, level, start, durationMs, timezone, ...shift }: FullShift, ofSchedule: string): ShiftSpec {
  const { recurrence, turns, startTurn } = shift;
  const { interval, ...rule } = recurrence ?? { interval: 1 };
  return {
    ...{ name, ...(level && { level }), start, durationMs, ...(timezone !== ofSchedule && { timezone }) },
    ...(recurrence && { recurrence: { ...(rule as Recurrence), ...(interval !== 1 && { interval }) } }),
    ...{ turns, ...(startTurn && { startTurn }) },
  };
}

/** What is not valid stays as it is, until it is prepared. */
function canonical(spec: Spec): Spec {
  const { shifts, timezone } = spec as ScheduleSpec;
  if (!shifts) return spec;
  try {
    return { ...spec, shifts: fullShifts(shifts, timezone).map((shift) => compact(shift, timezone)) };
  } catch (error) {
    if (error instanceof PrismError) return spec;
    throw error;
  }
}

/** How a shift of a file is found among stored ones, the best first. `Shift 1` may be another without a name. */
const ARE_SAME: readonly ((shift: FullShift, stored: FullShift) => boolean)[] = [
  isDeepStrictEqual,
  (shift, stored) => /^Shift \d+$/.test(shift.name) && hasSameContent(shift, stored),
  (shift, stored) => shift.name === stored.name,
  hasSameContent,
];

function hasSameContent(shift: FullShift, stored: FullShift): boolean {
  return isDeepStrictEqual({ ...shift, name: "" }, { ...stored, name: "" });
}

/** The place of the stored shift that each shift of a file is. */
function placesOf(wanted: readonly FullShift[], stored: readonly FullShift[]): (number | undefined)[] {
  const places = wanted.map((): number | undefined => undefined);
  for (const isSame of ARE_SAME)
    for (const [at, shift] of wanted.entries()) {
      const free = stored.findIndex((other, place) => !places.includes(place) && isSame(shift, other));
      if (free >= 0) places[at] ??= free;
    }
  return places;
}

/** A changed shift ends in its earlier form now and goes on: past times do not change. */
async function storeShifts(
  context: OnCallContext,
  trx: Trx,
  caller: PermissionHolder,
  schedule: OnCallRow,
  specs: readonly ShiftSpec[],
  known?: readonly ShiftRow[],
): Promise<void> {
  const stored = known ?? (await currentShifts(trx, [schedule.id]));
  const wanted = fullShifts(specs, schedule.timezone);
  const places = placesOf(wanted, namedShifts(stored));
  for (const [place, row] of stored.entries()) if (!places.includes(place)) await rows.removeShift(context, trx, row);
  for (const [at, shift] of wanted.entries())
    try {
      const old = stored[places[at] ?? -1];
      const blank = old ?? rows.blank(schedule, caller, context.clock.now());
      const changes = changedMembers(shift, { spec: Shift.settable(blank) });
      if (!old) await rows.insertShift(context, trx, rows.newShift(context, schedule, blank, shift));
      else if (Object.keys(changes).length > 0)
        await rows.changeShift(context, trx, old, rows.changedShift(context, schedule, old, changes));
    } catch (error) {
      if (!(error instanceof PrismError) || !error.details) throw error;
      const details = error.details.map((each) => ({ ...each, path: `shifts.${at}.${each.path ?? ""}` }));
      throw new PrismError(error.code, error.message, { details, cause: error });
    }
}
