import { DAY_MS, type EpochMs } from "../../core/clock.ts";
import type { Principal } from "../../core/principal.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { awayOf, conflictView, openSwaps, usersOf } from "./away.ts";
import type { ConflictsQuery } from "./days-off-schema.ts";
import { type Away, type Conflict, conflictsOf } from "./model/away.ts";
import { finalShifts } from "./model/layers.ts";
import type { ScheduleRow } from "./queries.ts";
import * as queries from "./queries.ts";
import { MAX_SCHEDULES, peopleOf, requireUser, schedulesOf, shown, spanOf } from "./reading.ts";
import { countsIn, rosterOf, turnsOf } from "./roster.ts";
import type { OnCallContext } from "./schedules.ts";
import type { ShiftParams } from "./schema.ts";

/** How far ahead a changed shift is compared with days off. */
const AHEAD_MS = 92 * DAY_MS;
/** Warnings in one answer. */
const MAX_WARNINGS = 20;

type Db = ReadDb | Trx;
type ConflictView = ReturnType<typeof conflictView>;

/**
 * When users are on call on their days off; of the caller also in the default project. @throws PROJECT_NOT_FOUND, SCHEDULE_NOT_FOUND, USER_NOT_FOUND
 */
export async function readConflicts(context: OnCallContext, principal: Principal, query: ConflictsQuery) {
  const { db, projects } = context;
  const span = spanOf(context, query);
  const userIds = query.userId === undefined ? undefined : [requireUser(context, query.userId)];
  const isOwn =
    principal.kind !== "apiKey" && userIds?.[0] === principal.userId && !(query.projectId ?? query.scheduleId);
  const schedules = isOwn
    ? await queries.allSchedules(db.read, { projectIds: projects.reaching(principal, "events:read") }, MAX_SCHEDULES)
    : await schedulesOf(context, principal, query);
  const away = await awayOf(db.read, userIds, span.from, span.to);
  const data = await conflictsOn(context, db.read, schedules, away, span);
  return { ...shown(span), data };
}

/** The conflicts of these days off with the schedules, in order. */
export async function conflictsOn(
  { users }: Pick<OnCallContext, "users">,
  db: Db,
  schedules: readonly ScheduleRow[],
  away: readonly Away[],
  { from, to }: { readonly from: EpochMs; readonly to: EpochMs },
): Promise<ConflictView[]> {
  if (away.length === 0) return [];
  const first = Math.max(from, Math.min(...away.map(({ start }) => start)));
  const last = Math.min(to, Math.max(...away.map(({ end }) => end)));
  const found: ConflictView[] = [];
  for (const schedule of schedules) {
    const shifts = finalShifts(await rosterOf(db, schedule.id), first, last, countsIn(users, schedule.projectId));
    const onCall = new Set(usersOf(shifts));
    const conflicts = conflictsOf(
      shifts,
      away.filter(({ userId }) => onCall.has(userId)),
    );
    found.push(...(await viewsOf(db, schedule, conflicts)));
  }
  return found.sort((a, b) => Date.parse(a.start) - Date.parse(b.start));
}

async function viewsOf(db: Db, schedule: ScheduleRow, conflicts: readonly Conflict[]): Promise<ConflictView[]> {
  if (conflicts.length === 0) return [];
  const swaps = await openSwaps(db, schedule.id);
  const people = await peopleOf(
    db,
    conflicts.map(({ away }) => ({ users: [away.userId] })),
  );
  return conflicts.flatMap((conflict) =>
    people([conflict.away.userId]).map((user) => conflictView(schedule, swaps, user, conflict)),
  );
}

/** The conflicts that a shift, override or taken swap causes for users whom it names. */
export async function warningsOf(
  { users, clock }: OnCallContext,
  db: Db,
  { id, shiftId }: ShiftParams,
): Promise<ConflictView[]> {
  const [schedule, row] = [await queries.findSchedule(db, id), await queries.findShift(db, id, shiftId)];
  if (!schedule || !row) return [];
  const from = clock.now();
  const away = await awayOf(db, [...new Set(turnsOf(row).flat())], from, from + AHEAD_MS);
  if (away.length === 0) return [];
  const planned = finalShifts(await rosterOf(db, id), from, from + AHEAD_MS, countsIn(users, schedule.projectId));
  const caused = planned.filter(({ shiftIds }) => shiftIds.includes(shiftId));
  return viewsOf(db, schedule, conflictsOf(caused, away).slice(0, MAX_WARNINGS));
}
