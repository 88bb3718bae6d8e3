import { currentCaller, type Principal } from "../../core/caller.ts";
import { LoopTurns } from "../../core/promises.ts";
import { type EpochMs, HOUR_MS, toRfc3339 } from "../../core/time/clock.ts";
import { rowsOf } from "../../store/database.ts";
import { type FinalShift, stints } from "../oncall/index.ts";
import { schedulesIn, shiftsUntilNow } from "./people-report.ts";
import { type ReportsContext, type Scope, scopeOf, shareOf, timesOf } from "./range.ts";
import type { RangeQuery, ScheduleLoad, SchedulesReport } from "./schema.ts";

const MAX_GAPS = 20;
/** Pages of one report; they are kept as long as incidents. */
const MAX_PAGES = 50_000;
const STEPS_PER_PAGE = 20;

const PAGES = `select projectId, userId, deliveredAt at from pages where outcome = 'delivered' and userId is not null
  and isEnd = 0 and reason <> 'drill' and deliveredAt >= ? and deliveredAt < ?
  and projectId in (select value from json_each(?)) limit ${MAX_PAGES}`;

interface PageAt {
  readonly projectId: string;
  readonly userId: string;
  readonly at: EpochMs;
}

/** @throws VALIDATION_FAILED, PROJECT_NOT_FOUND */
export async function schedulesReport(
  context: ReportsContext,
  principal: Principal,
  query: RangeQuery,
): Promise<SchedulesReport> {
  const scope = await scopeOf(context, principal, query);
  const schedules = await schedulesIn(context, scope);
  const pages = await rowsOf<PageAt>(context.db.scan, PAGES, [scope.from, scope.to, scope.projects]);
  currentCaller().charge?.({ steps: pages.length * STEPS_PER_PAGE });
  const pagesOf = Map.groupBy(pages, ({ projectId }) => projectId);
  const data: ScheduleLoad[] = [];
  const turns = new LoopTurns();
  for (const { id, projectId, name, rows } of schedules) {
    await turns.pause();
    const { shifts, until } = await shiftsUntilNow(context, rows, scope);
    const own = loadOfSchedule(shifts, pagesOf.get(projectId) ?? [], { ...scope, to: until });
    data.push({ scheduleId: id, projectId, name, ...own });
  }
  return { ...timesOf(scope), data };
}

function loadOfSchedule(
  shifts: readonly FinalShift[],
  pages: readonly PageAt[],
  scope: Scope,
): Omit<ScheduleLoad, "scheduleId" | "projectId" | "name"> {
  const turns = stints(shifts);
  const pagesTo = Map.groupBy(pages, ({ userId }) => userId);
  const counts = turns.map(({ start, end, users }) => {
    const own = users.flatMap((id) => pagesTo.get(id) ?? []);
    return own.filter(({ at }) => at >= start && at < end).length;
  });
  const gaps = gapsBetween(turns, scope).sort((a, b) => b.end - b.start - (a.end - a.start));
  const times = new Map<string, number>();
  for (const { start, end, users } of turns) for (const id of users) times.set(id, (times.get(id) ?? 0) + end - start);
  const all = [...times.values()];
  const total = all.reduce((a, b) => a + b, 0);
  return {
    ...{ shifts: turns.length, people: times.size },
    pagesPerShift: turns.length === 0 ? null : Math.round((counts.reduce((a, b) => a + b, 0) / turns.length) * 10) / 10,
    mostPages: Math.max(0, ...counts),
    gapHours: Math.round((gaps.reduce((sum, { start, end }) => sum + end - start, 0) / HOUR_MS) * 10) / 10,
    gaps: gaps.slice(0, MAX_GAPS).map(({ start, end }) => ({ start: toRfc3339(start), end: toRfc3339(end) })),
    ...{ smallestShare: shareOf(Math.min(...all), total), largestShare: shareOf(Math.max(...all), total) },
  };
}

/** The times without anyone. @param turns in their order */
function gapsBetween(turns: readonly FinalShift[], { from, to }: Scope) {
  const gaps: { start: EpochMs; end: EpochMs }[] = [];
  let covered = from;
  for (const { start, end } of turns) {
    if (start > covered) gaps.push({ start: covered, end: start });
    covered = Math.max(covered, end);
  }
  if (to > covered) gaps.push({ start: covered, end: to });
  return gaps;
}
