import type { PageRequest } from "../../http/pagination.ts";
import type { ScheduleRow } from "../../services/schedules/schedule-definition.ts";
import type { ReadDb } from "../../store/database.ts";
import { countOf, newestFirst } from "../../store/list-queries.ts";

export interface ScheduleFilter {
  readonly active?: boolean | undefined;
  readonly queue?: string | undefined;
  readonly module?: string | undefined;
}

/** Newest first: ids are in the order of time. */
export function listSchedules(db: ReadDb, filter: ScheduleFilter, page: PageRequest): Promise<ScheduleRow[]> {
  return newestFirst(filtered(db, filter).selectAll(), page).execute();
}

export function countSchedules(db: ReadDb, filter: ScheduleFilter): Promise<number> {
  return countOf(filtered(db, filter));
}

function filtered(db: ReadDb, { active, queue, module }: ScheduleFilter) {
  let query = db.selectFrom("schedules");
  if (active !== undefined) query = query.where("active", "=", active ? 1 : 0);
  if (queue !== undefined) query = query.where("queue", "=", queue);
  if (module !== undefined) query = query.where("module", "=", module);
  return query;
}
