import { sql } from "kysely";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { isFarPage, type PageRequest } from "../../../http/api/shapes.ts";
import type { Uses } from "../../../module/feature.ts";
import { isWaiting } from "../../../store/commit/job-table.ts";
import type { Database, InTransaction, ReadDb, Trx } from "../../../store/database.ts";
import type { JobState } from "../../../store/schema.ts";
import { bytesOf, countFitting, countOf, FITTING_BYTES, type FittingRows } from "../../../store/sqlite/list-queries.ts";
import { SCHEDULED_KIND, type ScheduledPayload, type TimerPayload } from "./timer-firing.ts";

/** Kind of the jobs and schedules that are timers. */
export const TIMER_KIND = "timer";

/** Selects pending timers, or everything that will send a notification, including such timers. */
export type Pending = "timers" | "notifications";

/** Creator of a pending item. */
export interface Owner {
  readonly createdBy: string | null;
  readonly module: string | null;
}

/** A pending timer or scheduled notification. A recurring one is represented by its schedule. */
export interface PendingRow extends Owner {
  readonly id: string;
  readonly kind: string;
  readonly label: string | null;
  /** Time of the next run; null for a schedule without further runs. */
  readonly runAt: EpochMs | null;
  readonly state: string;
  readonly payload: TimerPayload | ScheduledPayload;
  /** Null for an item that runs once. */
  readonly cron: string | null;
  readonly timezone: string | null;
  /** Interval of a schedule. */
  readonly everyMs: number | null;
  readonly createdAt: EpochMs;
}

export type PendingContext = Uses<"db" | "audit" | "jobControl" | "schedules">;

/** Pending items for their creators: one list of jobs and schedules, one way to cancel. */
export function pendingTimers(context: PendingContext) {
  return {
    list: listPending.bind(null, context.db),
    cancel: cancelPending.bind(null, context),
    /** {@link cancelPending} without an error for a missing item. @returns whether one waited */
    cancelIfWaiting: (...args: Cancel) =>
      cancelPending(context, ...args).then(
        () => true,
        (error: unknown) => {
          if (error instanceof PrismError && NOT_WAITING.has(error.code)) return false;
          throw error;
        },
      ),
  };
}

export type PendingTimers = ReturnType<typeof pendingTimers>;

const NOT_WAITING: ReadonlySet<string> = new Set(["JOB_NOT_FOUND", "JOB_NOT_CANCELLABLE"]);

/**
 * Newest first; one row more than the page if there are more.
 * @param createdBy the creator; null: any. @param page its position is the id of the last item.
 */
async function listPending(
  { read, scan }: Database,
  pending: Pending,
  createdBy: string | null,
  page: PageRequest,
): Promise<FittingRows<PendingRow> & { total?: number }> {
  // No index covers actions, and none has all users' items in order.
  const isNear = pending === "timers" && createdBy !== null && !isFarPage(page);
  const before = page.after ? String(page.after[0]) : null;
  const source = isNear ? read : scan;
  const query = waiting(source, pending, createdBy, before).orderBy("id", "desc").offset(page.offset);
  const { rows, isCut } = await fittingWaiting(source, query, page.limit + 1);
  const found = rows.map((row) => ({ ...row, payload: JSON.parse(row.payload) as PendingRow["payload"] }));
  if (!page.wantsTotal) return { rows: found, isCut };
  const total = await countOf(scan.selectFrom(waiting(scan, pending, createdBy, null).as("w")));
  return { rows: found, isCut, total };
}

type Cancel = [pending: Pending, id: string, isOwn: (owner: Owner) => boolean, options?: InTransaction];

/** @param isOwn whether the caller may cancel it. @throws JOB_NOT_FOUND, JOB_NOT_CANCELLABLE */
async function cancelPending(
  { db, jobControl, schedules, audit }: PendingContext,
  ...[pending, id, isOwn, options = {}]: Cancel
): Promise<void> {
  await db.writeIn(options, async (trx) => {
    const found = isUuid(id) ? await find(trx, id) : undefined;
    if (!found || !isOwn(found) || !isMeant(pending, found))
      throw new PrismError("JOB_NOT_FOUND", "No pending item has this id");
    if (found.isSchedule) {
      await schedules.delete(id, { trx });
      const metadata = { kind: found.kind };
      await audit.record({ action: "schedule.delete", resourceType: "schedule", resourceId: id, metadata }, { trx });
      return;
    }
    if (found.state === "running")
      throw new PrismError("JOB_NOT_CANCELLABLE", "It is running; only pending items can be cancelled");
    if (!isWaiting(found.state)) throw new PrismError("JOB_NOT_CANCELLABLE", `It has ended: it is ${found.state}`);
    await jobControl.cancel(id, { trx });
  });
}

/** Ids of the pending or recurring timers with this label. */
export async function labelled(label: string, owner: Owner, trx: Trx): Promise<string[]> {
  const jobs = await waitingTimers(trx, owner, label).select("id").execute();
  const schedules = await recurringTimers(trx, owner, label).select("id").execute();
  return [...jobs, ...schedules].map(({ id }) => id);
}

/** Pending one-shot timers of a module or a creator with this label. */
export function waitingTimers(trx: Trx, { createdBy, module }: Owner, label: string) {
  const jobs = trx
    .selectFrom("jobs")
    .where("queue", "=", sql.lit("timers"))
    .where("finishedAt", "is", null)
    .where("kind", "=", TIMER_KIND)
    .where("scheduleId", "is", null)
    .where("state", "<>", "running")
    .where("label", "=", label);
  return module === null
    ? jobs.where("module", "is", null).where("createdBy", "is", createdBy)
    : jobs.where("module", "=", module);
}

/** Recurring timers of a module or a creator with this label. */
export function recurringTimers(trx: Trx, { createdBy, module }: Owner, label: string) {
  const schedules = trx.selectFrom("schedules").where("kind", "=", TIMER_KIND).where("label", "=", label);
  return module === null
    ? schedules.where("module", "is", null).where("createdBy", "is", createdBy)
    : schedules.where("module", "=", module);
}

interface Found extends Owner {
  readonly kind: string;
  readonly payload: string;
  readonly state: JobState;
  readonly isSchedule: boolean;
}

async function find(trx: Trx, id: string): Promise<Found | undefined> {
  const job = await trx
    .selectFrom("jobs")
    .select(["kind", "payload", "state", "createdBy", "module"])
    .where("id", "=", id)
    .where("kind", "in", [TIMER_KIND, SCHEDULED_KIND])
    .executeTakeFirst();
  if (job) return { ...job, isSchedule: false };
  const schedule = await trx
    .selectFrom("schedules")
    .select(["kind", "payload", "createdBy", "module"])
    .where("id", "=", id)
    .where("kind", "=", TIMER_KIND)
    .executeTakeFirst();
  return schedule && { ...schedule, state: "scheduled", isSchedule: true };
}

/** Timers include all actions; scheduled notifications are items that notify, of either API. */
function isMeant(pending: Pending, { kind, payload }: Found): boolean {
  if (pending === "timers") return kind === TIMER_KIND;
  return kind === SCHEDULED_KIND || (JSON.parse(payload) as TimerPayload).action.type === "notify";
}

/** Size of a timer's payload, or of a notification with its recipients. */
const LARGEST_BYTES = 131_072;

/** {@link fittingRows} over two tables. */
async function fittingWaiting(db: ReadDb, query: ReturnType<typeof waiting>, limit: number) {
  if (limit * LARGEST_BYTES <= FITTING_BYTES) return { rows: await query.limit(limit).execute(), isCut: false };
  const sizes = await db
    .selectFrom(query.limit(limit).as("w"))
    .select(bytesOf("payload").as("bytes"))
    .$castTo<{ bytes: number }>()
    .execute();
  const fitting = countFitting(sizes.map(({ bytes }) => bytes));
  const rows = fitting === 0 ? [] : await query.limit(fitting).execute();
  return { rows, isCut: rows.length < sizes.length };
}

type PendingLine = Omit<PendingRow, "payload"> & { readonly payload: string };

/** One-shot jobs, and schedules without the jobs they create. */
function waiting(db: ReadDb, pending: Pending, createdBy: string | null, before: string | null) {
  let jobs = db
    .selectFrom("jobs")
    .select(["id", "kind", "label", "runAt", "state", "payload", "createdBy", "module", "createdAt"])
    .select([sql<string | null>`null`.as("cron"), sql<string | null>`null`.as("timezone")])
    .select(sql<number | null>`null`.as("everyMs"))
    // A literal, to match the partial index.
    .where("queue", "=", sql.lit("timers"))
    .where("finishedAt", "is", null)
    .where("scheduleId", "is", null);
  let schedules = db
    .selectFrom("schedules")
    .select(["id", "kind", "label", "nextRunAt as runAt"])
    .select(sql<string>`case active when 1 then 'scheduled' else 'paused' end`.as("state"))
    .select(["payload", "createdBy", "module", "createdAt", "cron", "timezone", "everyMs"])
    .where("kind", "=", TIMER_KIND);
  if (pending === "timers") jobs = jobs.where("kind", "=", TIMER_KIND);
  else {
    const notifies = sql<boolean>`json_extract(payload, '$.action.type') = 'notify'`;
    jobs = jobs.where((e) => e.or([e("kind", "=", SCHEDULED_KIND), e.and([e("kind", "=", TIMER_KIND), notifies])]));
    schedules = schedules.where(notifies);
  }
  if (createdBy !== null) {
    jobs = jobs.where("createdBy", "=", createdBy);
    schedules = schedules.where("createdBy", "=", createdBy);
  }
  if (before !== null) {
    jobs = jobs.where("id", "<", before);
    schedules = schedules.where("id", "<", before);
  }
  return jobs.$castTo<PendingLine>().unionAll(schedules.$castTo<PendingLine>());
}
