import { type RawBuilder, sql } from "kysely";
import type { PermissionHolder } from "../../../core/caller.ts";
import { MINUTE_MS } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";

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
