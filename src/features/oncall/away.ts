import { DAY_MS, type EpochMs, toRfc3339 } from "../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { UserName } from "../access/index.ts";
import type { DaysOffRow } from "./days-off-schema.ts";
import { type Away, awayIn, type Conflict, dayOf, spanOfDays } from "./model/away.ts";
import type { FinalShift } from "./model/layers.ts";
import * as queries from "./queries.ts";
import { spanOf } from "./roster.ts";
import type { OnCallRow, ShiftRow } from "./schema.ts";
import { daysText, localTime, nameOf } from "./texts.ts";

/** The days off of users that overlap `[from, to)`. @param userIds undefined: of all users */
export async function awayOf(
  db: ReadDb | Trx,
  userIds: readonly string[] | undefined,
  from: EpochMs,
  to: EpochMs,
): Promise<Away[]> {
  if (userIds?.length === 0) return [];
  // No zone is further from UTC than a day.
  const filter = { userIds, fromDay: dayOf(from - DAY_MS), toDay: dayOf(to + DAY_MS) };
  return awayIn((await queries.daysOffOf(db, filter)).map(toAway), from, to);
}

export function toAway({ id, userId, firstDay, lastDay, timezone }: DaysOffRow & { readonly timezone: string }): Away {
  return { id, userId, firstDay, lastDay, timezone, ...spanOfDays(firstDay, lastDay, timezone) };
}

/** The users of these shifts. */
export function usersOf(shifts: readonly Pick<FinalShift, "users">[]): string[] {
  return [...new Set(shifts.flatMap(({ users }) => users))];
}

/** The first days off of a user that overlap a time, for answers. */
export function awayView(away: readonly Away[], userId: string, start: EpochMs, end: EpochMs) {
  const [found] = awayIn(away, start, end).filter((each) => each.userId === userId);
  return found ? { daysOffId: found.id, firstDay: found.firstDay, lastDay: found.lastDay } : null;
}

export function conflictView(schedule: OnCallRow, swaps: readonly ShiftRow[], user: UserName, conflict: Conflict) {
  const { id: scheduleId, projectId, name } = schedule;
  const { start, end, away } = conflict;
  return {
    scheduleId,
    projectId,
    name,
    user,
    start: toRfc3339(start),
    end: toRfc3339(end),
    daysOffId: away.id,
    firstDay: away.firstDay,
    lastDay: away.lastDay,
    swapId: swapFor(swaps, user.id, start, end),
    message: `${nameOf(user)} is away ${daysText(away)} and on call for ${name} from ${localTime(start, away.timezone)} until ${localTime(end, away.timezone)}; no swap or override covers it`,
  };
}

/** The id of the first request of a user for a substitute in a time, or null. @param swaps the open ones */
export function swapFor(swaps: readonly ShiftRow[], userId: string, start: EpochMs, end: EpochMs): string | null {
  const isAsked = (row: ShiftRow): boolean => {
    const span = spanOf(row);
    return row.swapFor === userId && span.start < end && span.end > start;
  };
  return swaps.find(isAsked)?.id ?? null;
}

/** The open requests of a schedule for a substitute. */
export async function openSwaps(db: ReadDb | Trx, scheduleId: string): Promise<ShiftRow[]> {
  const rows = await queries.shiftsOf(db, scheduleId);
  return rows.filter(({ kind, turns, validUntil }) => kind === "swap" && turns === "[[]]" && validUntil === null);
}
