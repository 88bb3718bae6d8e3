import { DAY_MS, type EpochMs, HOUR_MS, MINUTE_MS } from "../../core/time/clock.ts";
import { type Calendar, localTime } from "../../core/time/local-clock.ts";
import { later, type ReadDb, rowsOf, type Trx } from "../../store/database.ts";
import type { ReportTables } from "../../store/schema/reports.ts";

/* Pages to people by the days of their clocks. A day is counted anew with each page that arrives in it. */

export type PersonDay = ReportTables["person_days"];

/** Pages at night that are closer wake a person once. */
export const BREAK_MS = 30 * MINUTE_MS;
/** The longest day of a clock that is put back, and what may precede its first page. */
const BEFORE_MS = DAY_MS + 2 * HOUR_MS + BREAK_MS;

/** An accepted page to a person of an incident. */
export interface Arrived {
  readonly userId: string;
  readonly projectId: string;
  readonly at: EpochMs;
  readonly timezone: string;
  /** 1: of high urgency, which wakes people. */
  readonly isUrgent: 0 | 1;
}

const ARRIVED = `select p.userId, p.projectId, p.deliveredAt at, u.timezone, p.urgency = 'high' isUrgent
  from pages p join users u on u.id = p.userId and u.deletedAt is null
  join projects j on j.id = p.projectId and j.deletedAt is null
  where p.outcome = 'delivered' and p.userId is not null and p.isEnd = 0 and p.reason <> 'drill'
  and p.deliveredAt > ? and p.deliveredAt <= ?`;
const FIRST = `${ARRIVED} order by p.deliveredAt limit ?`;
const OF_USERS = `${ARRIVED} and p.userId in (select value from json_each(?)) order by p.deliveredAt`;

/** Pages that arrived in a time, the earliest first. */
export function arrivedIn(scan: ReadDb, after: EpochMs, until: EpochMs, limit: number): Promise<Arrived[]> {
  return rowsOf<Arrived>(scan, FIRST, [after, until, limit]);
}

/** The days of people that these pages are in, counted with all their pages. @param pages the earliest first */
export async function daysWith(scan: ReadDb, pages: readonly Arrived[], calendar: Calendar): Promise<PersonDay[]> {
  const users = JSON.stringify([...new Set(pages.map(({ userId }) => userId))]);
  const [from, until] = [pages[0]?.at ?? 0, pages.at(-1)?.at ?? 0];
  const all = await rowsOf<Arrived>(scan, OF_USERS, [from - BEFORE_MS, until, users]);
  const changed = new Set(pages.map((page) => dayKey(page, localTime(page.at, page.timezone, calendar).day)));
  return countDays(all, calendar).filter((day) => changed.has(dayKey(day, day.day)));
}

const dayKey = ({ userId }: Pick<Arrived, "userId">, day: string): string => `${userId} ${day}`;

/** @param pages the earliest first */
export function countDays(pages: readonly Arrived[], calendar: Calendar): PersonDay[] {
  const days = new Map<string, PersonDay>();
  const lastAtNight = new Map<string, EpochMs>();
  for (const { userId, projectId, at, timezone, isUrgent } of pages) {
    const { day, isNight, isWeekend } = localTime(at, timezone, calendar);
    const key = `${userId} ${projectId} ${day}`;
    const none = { userId, projectId, day, pagesDay: 0, pagesNight: 0, pagesWeekend: 0, sleepBreaks: 0 };
    const row = days.get(key) ?? none;
    const wakes = isNight && isUrgent === 1;
    const isBreak = wakes && at - (lastAtNight.get(userId) ?? Number.NEGATIVE_INFINITY) >= BREAK_MS;
    if (wakes) lastAtNight.set(userId, at);
    days.set(key, {
      ...row,
      pagesDay: row.pagesDay + (isNight ? 0 : 1),
      pagesNight: row.pagesNight + (isNight ? 1 : 0),
      pagesWeekend: row.pagesWeekend + (isWeekend ? 1 : 0),
      sleepBreaks: row.sleepBreaks + (isBreak ? 1 : 0),
    });
  }
  return [...days.values()];
}

const SAVE = `insert into person_days (userId, projectId, day, pagesDay, pagesNight, pagesWeekend, sleepBreaks)
  select ?, ?, ?, ?, ?, ?, ? from users where id = ? and deletedAt is null
  on conflict (userId, day, projectId) do update set pagesDay = excluded.pagesDay, pagesNight = excluded.pagesNight,
    pagesWeekend = excluded.pagesWeekend, sleepBreaks = excluded.sleepBreaks`;

/** Not of a person who was deleted meanwhile. */
export function saveDay(trx: Trx, row: PersonDay): void {
  const { userId, projectId, day, pagesDay, pagesNight, pagesWeekend, sleepBreaks } = row;
  later(trx, SAVE, [userId, projectId, day, pagesDay, pagesNight, pagesWeekend, sleepBreaks, userId]);
}
