import { currentCaller } from "../../core/caller.ts";
import { LoopTurns } from "../../core/promises.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { localTime } from "../../core/time/local-clock.ts";
import { rowsOf } from "../../store/database.ts";
import type { ReportsContext, Scope } from "./range.ts";
import type { PersonLoad } from "./schema.ts";

/* At which hours people were paged, and by what: from their pages, which are kept as long as incidents. */

/** Pages of one report, the newest first. */
const MAX_PAGES = 50_000;
const STEPS_PER_PAGE = 20;
const TOP_KEYS = 3;
const HOURS = 24;

const PAGES = `select p.userId, p.deliveredAt at, u.timezone, f.key from pages p
  join users u on u.id = p.userId and u.deletedAt is null
  left join incident_facts f on f.incidentId = p.incidentId
  where p.outcome = 'delivered' and p.userId is not null and p.isEnd = 0 and p.reason <> 'drill'
  and p.deliveredAt >= ? and p.deliveredAt < ? and (p.userId = ? or p.projectId in (select value from json_each(?))
    and (p.projectId in (select value from json_each(?)) or p.userId = ?)) order by p.deliveredAt desc limit ${MAX_PAGES}`;

interface PageOfPerson {
  readonly userId: string;
  readonly at: EpochMs;
  readonly timezone: string;
  /** Null: its incident has not ended, or is not counted. */
  readonly key: string | null;
}

type WhenAndWhat = Pick<PersonLoad, "hours" | "keys">;

const noHours = (): number[] => Array.from({ length: HOURS }, () => 0);
export const NOT_PAGED: WhenAndWhat = { hours: noHours(), keys: [] };

interface Counts {
  readonly pages: number;
  readonly pagesNight: number;
}

/**
 * @param shown four parameters of the query: the user who sees the own pages of all projects; the projects of the
 * report as JSON; those in which all people are shown, as JSON; the user who sees the own pages in the report
 * @returns hours and keys by user id
 */
export async function whenAndWhat(
  context: ReportsContext,
  { from, to }: Scope,
  shown: readonly [anywhere: string | null, projects: string, shown: string, userId: string | null],
): Promise<ReadonlyMap<string, WhenAndWhat>> {
  const pages = await rowsOf<PageOfPerson>(context.db.scan, PAGES, [from, to, ...shown]);
  currentCaller().charge?.({ steps: pages.length * STEPS_PER_PAGE });
  const calendar = await context.reports.calendar();
  const turns = new LoopTurns();
  const found = new Map<string, { readonly hours: number[]; readonly keys: Map<string, Counts> }>();
  for (const { userId, at, timezone, key } of pages) {
    await turns.pause();
    const own = found.get(userId) ?? { hours: noHours(), keys: new Map<string, Counts>() };
    found.set(userId, own);
    const { hour, isNight } = localTime(at, timezone, calendar);
    own.hours[hour] = (own.hours[hour] ?? 0) + 1;
    if (key === null) continue;
    const before = own.keys.get(key) ?? { pages: 0, pagesNight: 0 };
    own.keys.set(key, { pages: before.pages + 1, pagesNight: before.pagesNight + (isNight ? 1 : 0) });
  }
  return new Map([...found].map(([id, { hours, keys }]) => [id, { hours, keys: most(keys) }]));
}

function most(keys: ReadonlyMap<string, Counts>): WhenAndWhat["keys"] {
  const all = [...keys].map(([key, counts]) => ({ key, ...counts }));
  return all.sort((a, b) => b.pages - a.pages || b.pagesNight - a.pagesNight).slice(0, TOP_KEYS);
}
