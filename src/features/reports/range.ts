import type { Principal } from "../../core/caller.ts";
import { invalidField } from "../../core/errors.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import { rowsOf } from "../../store/database.ts";
import { MAX_RANGE_DAYS, type RangeQuery } from "./schema.ts";

export type ReportsContext = Uses<"db" | "clock" | "settings" | "projects" | "users" | "reports">;

const DEFAULT_DAYS = 30;

/** The incidents that a report is about. */
export interface Scope {
  /** JSON, for SQL. */
  readonly projects: string;
  readonly projectIds: readonly string[];
  readonly from: EpochMs;
  /** Exclusive. */
  readonly to: EpochMs;
}

/** The projects whose events the caller reads, and the time. @throws VALIDATION_FAILED, PROJECT_NOT_FOUND */
export async function scopeOf(context: ReportsContext, principal: Principal, query: RangeQuery): Promise<Scope> {
  const to = query.to ?? context.clock.now();
  if (query.days !== undefined && query.from !== undefined)
    throw invalidField("query", "days", "cannot be used with from");
  const from = query.from ?? firstOfDays(query.days ?? DEFAULT_DAYS, to);
  if (from >= to) throw invalidField("query", "from", "must be before to");
  if (to - from > MAX_RANGE_DAYS * DAY_MS)
    throw invalidField("query", "from", `must be at most ${MAX_RANGE_DAYS} days before to`);
  const readable = context.projects.readable(principal, "events:read", query.project);
  const projectIds = readable ?? (await allProjects(context));
  return { projects: JSON.stringify(projectIds), projectIds, from, to };
}

/** The start in UTC of the first of so many days, of which the last one is that of `to`. */
export function firstOfDays(days: number, to: EpochMs): EpochMs {
  return (Math.ceil(to / DAY_MS) - days) * DAY_MS;
}

async function allProjects({ db }: ReportsContext): Promise<string[]> {
  const rows = await rowsOf<{ id: string }>(db.scan, "select id from projects where deletedAt is null", []);
  return rows.map(({ id }) => id);
}

export function timesOf({ from, to }: Scope) {
  return { from: toRfc3339(from), to: toRfc3339(to) };
}

/** What the API answers, also as clients see it. */
export type Readable<T> = T extends object ? { readonly [K in keyof T]: Readable<T[K]> } : T;

/** @returns null without a whole */
export function shareOf(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 1000) / 1000;
}
