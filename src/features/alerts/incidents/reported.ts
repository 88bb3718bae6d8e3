import { type RawBuilder, sql } from "kysely";
import { currentCaller, type PermissionHolder } from "../../../core/caller.ts";
import { LoopTurns } from "../../../core/promises.ts";
import { DAY_MS, type EpochMs, MINUTE_MS } from "../../../core/time/clock.ts";
import { calendarOf, datesIn, localTime } from "../../../core/time/local-clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { rowsOf } from "../../../store/database.ts";

/* The incidents behind a figure of a report (`incident_facts`), as filters of their list. */

/** An incident that ends by itself before is noise. */
const BRIEF_MS = 5 * MINUTE_MS;
/** SQL: whether an incident ended by itself so soon. */
export const IS_BRIEF = `resolvedAt - openedAt < ${BRIEF_MS} and end in ('alerts', 'timeout', 'auto')`;

/** What reports count an incident as, with the condition on its facts. */
const COUNTED_AS = {
  all: "true",
  acknowledged: "f.pagedAt is not null and f.firstAckAt is not null",
  unacknowledged: "f.pagedAt is not null and f.firstAckAt is null",
  // Its columns are those of the facts, which are nearer than those of the list.
  brief: IS_BRIEF,
  reopened: "f.reopened = 1",
} as const;
export type CountedAs = keyof typeof COUNTED_AS;
export const COUNTS = Object.keys(COUNTED_AS) as CountedAs[];

/** @param key of reports; undefined: any */
export function isCounted(as: CountedAs, key: string | undefined): RawBuilder<boolean> {
  const ofKey = key === undefined ? sql`true` : sql`f.key = ${key}`;
  return sql<boolean>`exists (select 1 from incident_facts f
    where f.incidentId = incidents.id and ${sql.raw(COUNTED_AS[as])} and ${ofKey})`;
}

/** Whether a page to the user arrived. */
export function wasPaged(userId: string): RawBuilder<boolean> {
  return sql<boolean>`exists (select 1 from pages g where g.incidentId = incidents.id
    and g.outcome = 'delivered' and g.userId = ${userId} and g.isEnd = 0)`;
}

export const PAGES_OF = ["all", "day", "night"] as const;

/** Pages that are examined, the newest first. */
const MAX_PAGES = 50_000;
const STEPS_PER_PAGE = 20;
/** A day of a clock may begin and end so far from that in UTC. */
const ZONES_MS = DAY_MS;
/** As the days of people in reports count them. */
const PAGES = `select p.incidentId, p.deliveredAt at, u.timezone from pages p join users u on u.id = p.userId
  where p.outcome = 'delivered' and p.userId is not null and p.isEnd = 0 and p.reason <> 'drill'
  and p.deliveredAt >= ? and p.deliveredAt < ? and p.userId = ? order by p.deliveredAt desc limit ${MAX_PAGES}`;

interface PagesOfPerson {
  readonly userId: string;
  readonly pages: (typeof PAGES_OF)[number];
  readonly from?: EpochMs | undefined;
  readonly to?: EpochMs | undefined;
}

/**
 * Whether a page to the user arrived in the days from `from` to `to`, by day or at night, as the clock of the user
 * shows them.
 */
export async function wasPagedAt(
  { db, clock, settings }: Uses<"db" | "clock" | "settings">,
  { userId, pages, from = 0, to = clock.now() }: PagesOfPerson,
): Promise<RawBuilder<boolean>> {
  const parameters = [from - ZONES_MS, to + ZONES_MS, userId];
  const found = await rowsOf<{ incidentId: string; at: EpochMs; timezone: string }>(db.scan, PAGES, parameters);
  currentCaller().charge?.({ steps: found.length * STEPS_PER_PAGE });
  const calendar = calendarOf(settings.current.reports.night, new Set());
  const [first, last] = datesIn(from, to, clock.now());
  const turns = new LoopTurns();
  const ids = new Set<string>();
  for (const { incidentId, at, timezone } of found) {
    await turns.pause();
    const { day, isNight } = localTime(at, timezone, calendar);
    const isWanted = pages === "all" || isNight === (pages === "night");
    if (isWanted && day >= first && day <= last) ids.add(incidentId);
  }
  return sql<boolean>`id in (select value from json_each(${JSON.stringify([...ids])}))`;
}

/**
 * The projects in which the caller sees whom incidents paged, besides the own pages, by `reports.people`; null: all.
 */
export function projectsShowingPeople(
  { settings, projects }: Uses<"settings" | "projects">,
  caller: PermissionHolder,
): readonly string[] | null {
  const { people } = settings.current.reports;
  if (people === "all") return null;
  if (people !== "owners") return [];
  return caller.permissions.has("notifications:read_all") ? null : projects.readable(caller, "project:manage");
}
