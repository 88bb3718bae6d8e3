import type { PageRequest } from "../../http/pagination.ts";
import type { ScheduleRow } from "../../services/schedules/schedule-definition.ts";
import type { ReadDb } from "../../store/database.ts";

export interface ScheduleFilter {
  readonly active?: boolean | undefined;
  readonly queue?: string | undefined;
  readonly module?: string | undefined;
}

/** Newest first: ids are in the order of time. */
export function listSchedules(db: ReadDb, filter: ScheduleFilter, page: PageRequest): Promise<ScheduleRow[]> {
  let query = filtered(db, filter).selectAll();
  if (page.after) query = query.where("id", "<", String(page.after[0]));
  return query
    .orderBy("id", "desc")
    .limit(page.limit + 1)
    .offset(page.offset)
    .execute();
}

export async function countSchedules(db: ReadDb, filter: ScheduleFilter): Promise<number> {
  const row = await filtered(db, filter)
    .select((e) => e.fn.countAll<number>().as("n"))
    .executeTakeFirst();
  return row?.n ?? 0;
}

function filtered(db: ReadDb, { active, queue, module }: ScheduleFilter) {
  let query = db.selectFrom("schedules");
  if (active !== undefined) query = query.where("active", "=", active ? 1 : 0);
  if (queue !== undefined) query = query.where("queue", "=", queue);
  if (module !== undefined) query = query.where("module", "=", module);
  return query;
}
