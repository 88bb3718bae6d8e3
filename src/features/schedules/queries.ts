import type { PageRequest } from "../../http/pagination.ts";
import type { ReadDb } from "../../store/database.ts";
import {
  bytesOf,
  countOf,
  type FittingRows,
  fittingRows,
  newestFirst,
  type RowBytes,
} from "../../store/sqlite/list-queries.ts";
import type { ScheduleRow } from "./schedule-definition.ts";

export interface ScheduleFilter {
  readonly active?: boolean | undefined;
  readonly queue?: string | undefined;
  readonly module?: string | undefined;
}

/** Newest first: ids are in the order of time. */
const SCHEDULE_BYTES: RowBytes = { bytes: bytesOf("payload"), largest: 262_144 };

export function listSchedules(
  db: ReadDb,
  filter: ScheduleFilter,
  page: PageRequest,
): Promise<FittingRows<ScheduleRow>> {
  return fittingRows(newestFirst(filtered(db, filter).selectAll(), page), page.limit + 1, SCHEDULE_BYTES);
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
