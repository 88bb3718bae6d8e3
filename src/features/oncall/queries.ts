import type { Database as Sqlite } from "better-sqlite3";
import { type Selectable, sql } from "kysely";
import type { EpochMs } from "../../core/time/clock.ts";
import { ofProjects } from "../../http/api/listing.ts";
import { type ReadDb, rowsOfAll, type Trx, updateLater } from "../../store/database.ts";
import type { OnCallCalendarsTable } from "../../store/schema.ts";
import { countOf, valuesOf } from "../../store/sqlite/list-queries.ts";
import type { OnCallRow, ShiftRow } from "./schema.ts";

export type CalendarRow = Selectable<OnCallCalendarsTable>;

type Db = ReadDb | Trx;

/** By name, for answers about all schedules. @param projectIds null: all projects */
export function allSchedules(db: ReadDb, projectIds: readonly string[] | null, limit: number): Promise<OnCallRow[]> {
  const query = db.selectFrom("oncall_schedules").selectAll().where(ofProjects(projectIds));
  return query.orderBy("name").orderBy("id").limit(limit).execute();
}

/** The schedules of projects; null: of all. */
export function schedulesOf(db: Db, projectIds: readonly string[] | null) {
  const query = db.selectFrom("oncall_schedules").select(["id", "name", "projectId"]).orderBy("name");
  return (projectIds ? query.where("projectId", "in", projectIds) : query).execute();
}

export function findSchedule(db: Db, id: string): Promise<OnCallRow | undefined> {
  return db.selectFrom("oncall_schedules").selectAll().where("id", "=", id).executeTakeFirst();
}

export async function isNameTaken(trx: Trx, projectId: string, name: string): Promise<boolean> {
  const row = await trx
    .selectFrom("oncall_schedules")
    .select("id")
    .where("projectId", "=", projectId)
    .where("name", "=", name)
    .executeTakeFirst();
  return row !== undefined;
}

export function dueSchedules(reader: Sqlite): [id: string, dueAt: EpochMs][] {
  const rows = reader.prepare<[], [string, EpochMs]>("select id, dueAt from oncall_schedules where dueAt is not null");
  return rows.raw().all();
}

/** Schedules whose shifts name the user; their calendars do not count. */
export async function schedulesNaming(db: ReadDb, userId: string): Promise<string[]> {
  const rows = await db
    .selectFrom("oncall_shifts")
    .select("scheduleId")
    .distinct()
    .where(sql<boolean>`instr(turns, ${userId}) > 0`)
    .where("validUntil", "is", null)
    .execute();
  return rows.map(({ scheduleId }) => scheduleId);
}

export async function updateSchedule(trx: Trx, id: string, values: Partial<OnCallRow>): Promise<void> {
  updateLater(trx, "oncall_schedules", id, values);
}

/** All shifts of a schedule, also past ones, in order of creation. */
export function shiftsOf(db: Db, scheduleId: string): Promise<ShiftRow[]> {
  return db.selectFrom("oncall_shifts").selectAll().where("scheduleId", "=", scheduleId).orderBy("id").execute();
}

/** Shifts, overrides and swaps that have not ended. */
export function countShifts(db: Db, scheduleId: string): Promise<number> {
  return countOf(db.selectFrom("oncall_shifts").where("scheduleId", "=", scheduleId).where("validUntil", "is", null));
}

export function findShift(db: Db, scheduleId: string, id: string): Promise<ShiftRow | undefined> {
  return db
    .selectFrom("oncall_shifts")
    .selectAll()
    .where("id", "=", id)
    .where("scheduleId", "=", scheduleId)
    .executeTakeFirst();
}

export async function insertShift(trx: Trx, row: ShiftRow): Promise<void> {
  await trx.insertInto("oncall_shifts").values(row).execute();
}

export async function replaceShift(trx: Trx, { id, ...row }: ShiftRow): Promise<void> {
  updateLater(trx, "oncall_shifts", id, row);
}

export async function deleteShift(trx: Trx, id: string): Promise<void> {
  await trx.deleteFrom("oncall_shifts").where("id", "=", id).execute();
}

/** What is stored of a schedule that decides who is on call. */
export interface ScheduleRows {
  readonly projectId: string;
  /** Also past ones, in order of creation. */
  readonly shifts: readonly ShiftRow[];
  readonly calendar: CalendarRow | undefined;
}

/** Of these schedules as far as they exist, in one message to the writer. */
export async function scheduleRowsOf(db: Db, ids: readonly string[]): Promise<Map<string, ScheduleRows>> {
  const list = valuesOf(ids);
  const [schedules, shifts, calendars] = (await rowsOfAll(db, [
    db.selectFrom("oncall_schedules").select(["id", "projectId"]).where("id", "in", list).compile(),
    db.selectFrom("oncall_shifts").selectAll().where("scheduleId", "in", list).orderBy("id").compile(),
    db.selectFrom("oncall_calendars").selectAll().where("scheduleId", "in", list).compile(),
  ])) as [{ id: string; projectId: string }[], ShiftRow[], CalendarRow[]];
  const imported = new Map(calendars.map((calendar) => [calendar.scheduleId, calendar]));
  const own = new Map<string, ShiftRow[]>(schedules.map(({ id }) => [id, []]));
  for (const shift of shifts) own.get(shift.scheduleId)?.push(shift);
  return new Map(
    schedules.map(({ id, projectId }) => [id, { projectId, shifts: own.get(id) ?? [], calendar: imported.get(id) }]),
  );
}

/** The shifts of all schedules of a project with the names of these, also past ones: schedules by name. */
export function namedShiftsOf(db: Db, projectId: string) {
  return db
    .selectFrom("oncall_schedules as s")
    .innerJoin("oncall_shifts as h", "h.scheduleId", "s.id")
    .selectAll("h")
    .select("s.name as schedule")
    .where("s.projectId", "=", projectId)
    .orderBy("s.name")
    .orderBy("h.id")
    .execute();
}

export function calendarOf(db: Db, scheduleId: string): Promise<CalendarRow | undefined> {
  return db.selectFrom("oncall_calendars").selectAll().where("scheduleId", "=", scheduleId).executeTakeFirst();
}

/** The active users who may change schedules of the project. */
export async function editorsOf(db: Db, projectId: string, defaultProjectId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select u.id from users u where u.status = 'active' and u.deletedAt is null and (
      exists (select 1 from project_members m where m.projectId = ${projectId} and m.userId = u.id and m.role = 'owner')
      or ((${projectId} = ${defaultProjectId}
           or exists (select 1 from project_members m where m.projectId = ${projectId} and m.userId = u.id))
          and exists (select 1 from user_roles r join roles on roles.id = r.roleId, json_each(roles.permissions) p
                      where r.userId = u.id and p.value = 'oncall:write')))
    order by u.id limit 1000`.execute(db);
  return rows.map(({ id }) => id);
}

/** Who made these schedules, as far as they exist. */
export function makersOf(db: ReadDb, ids: readonly string[]) {
  return db.selectFrom("oncall_schedules").select(["id", "createdBy", "projectId"]).where("id", "in", ids).execute();
}

export function dueCalendars(reader: Sqlite): { readonly id: string; readonly dueAt: EpochMs }[] {
  const sql = "select scheduleId as id, dueAt from oncall_calendars where dueAt is not null";
  return reader.prepare<[], { id: string; dueAt: EpochMs }>(sql).all();
}

export function preferencesOf(db: Db, userId: string) {
  return db.selectFrom("oncall_users").selectAll().where("userId", "=", userId).executeTakeFirst();
}

/** Schedules whose shifts or imported events name the user. */
export async function schedulesWith(db: Db, userId: string): Promise<OnCallRow[]> {
  const { rows } = await sql<OnCallRow>`
    select s.* from oncall_schedules s where
      exists (select 1 from oncall_shifts h where h.scheduleId = s.id and h.validUntil is null and instr(h.turns, ${userId}) > 0)
      or exists (select 1 from oncall_calendars c where c.scheduleId = s.id and instr(c.content, ${userId}) > 0)
    order by s.id`.execute(db);
  return rows;
}

export interface DaysOffFilter {
  /** Undefined: of all users. */
  readonly userIds?: readonly string[] | undefined;
  /** Days in UTC, or one more for other zones. */
  readonly fromDay: string;
  readonly toDay?: string | undefined;
}

/** Days off with the time zone of their user, in order. */
export function daysOffOf(db: Db, { userIds, fromDay, toDay }: DaysOffFilter) {
  let query = zonedDaysOff(db).where("d.lastDay", ">=", fromDay).orderBy("d.firstDay").orderBy("d.id");
  if (userIds) query = query.where("d.userId", "in", userIds);
  if (toDay !== undefined) query = query.where("d.firstDay", "<=", toDay);
  return query.execute();
}

export function findDaysOff(db: Db, id: string) {
  return zonedDaysOff(db).where("d.id", "=", id).executeTakeFirst();
}

function zonedDaysOff(db: Db) {
  return db
    .selectFrom("oncall_days_off as d")
    .innerJoin("users as u", "u.id", "d.userId")
    .selectAll("d")
    .select("u.timezone");
}
