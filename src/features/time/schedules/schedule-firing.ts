import { sql } from "kysely";
import type { QueueName } from "../../../core/limits/queues.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { insertJobs } from "../../../store/commit/job-table.ts";
import type { JobRow } from "../../../store/commit/write-set.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { jobsAdded } from "../../../store/effect.ts";
import { COMPLETED, finishOf, type NewJob, newJobRow } from "../jobs/index.ts";
import type { ScheduleRow } from "./schedule.ts";
import { timesFrom } from "./schedule-definition.ts";

/** A run is late up to this, and missed after it (docs/schedules.md). */
const LATE_MS = 30_000;

/** Limit of jobs created per schedule and transaction. */
const MAX_JOBS = 200;
/** Limit of times checked one by one; further ones are not counted. */
const MAX_COUNTED = 1000;

/**
 * Why a run was skipped: its time passed while no server ran and the schedule does not catch up, or
 * not this far; a job of the schedule was unfinished; a clock change skipped its time; the queue is
 * full.
 */
export const SKIP_REASONS = ["missed", "catch-up", "overlap", "dst", "overloaded"] as const;
type SkipReason = (typeof SKIP_REASONS)[number];

/** Skipped runs with the same reason. */
interface Skipped {
  readonly reason: SkipReason;
  /** Time of the first of them. */
  readonly nominalAt: EpochMs;
  count: number;
}

/** The plan for a schedule's due times. */
interface FiringPlan {
  /** Nominal times of the jobs to create. */
  readonly runs: readonly EpochMs[];
  readonly skipped: readonly Skipped[];
  /** In the future, unless there is more to do. */
  readonly nextRunAt: EpochMs | null;
  /** Missed runs caught up so far, including earlier plans of the same catch-up. */
  readonly caughtUp: number;
}

interface Situation {
  readonly now: EpochMs;
  readonly maxCatchUp: number;
  /** Missed runs caught up by earlier plans that this one continues. */
  readonly caughtUp: number;
  /** A job of the schedule is unfinished. */
  readonly isBusy: boolean;
}

/** @throws INVALID_CRON, RangeError when this version cannot read what is stored */
function planFiring(schedule: DueSchedule, { now, maxCatchUp, caughtUp: before, isBusy }: Situation): FiringPlan {
  const { nextRunAt, missed, overlap } = schedule;
  const runs: EpochMs[] = [];
  const skipped = new Map<string, Skipped>();
  let caughtUp = before;
  /** @param gap identifies the gap of the clock; each is reported separately. */
  const skip = (reason: SkipReason, at: EpochMs, gap = 0): void => {
    const entry = skipped.get(`${reason} ${gap}`);
    if (entry) entry.count++;
    else skipped.set(`${reason} ${gap}`, { reason, nominalAt: at, count: 1 });
  };
  const canCatchUp = (): boolean => {
    // Catch-up runs do not overlap with each other: each of them was requested.
    if (isBusy && overlap === "skip" && caughtUp === 0) return false;
    return caughtUp < (missed === "all" ? maxCatchUp : missed === "once" ? 1 : 0);
  };
  const planMissed = (at: EpochMs): void => {
    if (canCatchUp()) {
      caughtUp++;
      runs.push(at);
    } else if (missed === "skip") skip("missed", at);
    else if (caughtUp === 0) skip("overlap", at);
    // Otherwise one run represents all missed ones.
    else if (missed === "all") skip("catch-up", at);
  };
  const planDue = (at: EpochMs): void => {
    // One run for all missed ones includes the last seconds, also when it has ended already.
    const isIncluded = missed === "once" && caughtUp > 0;
    if (overlap === "allow" || (!isBusy && !isIncluded && runs.length === 0)) runs.push(at);
    else if (!isIncluded) skip("overlap", at);
  };
  const plan = (next: EpochMs | null): FiringPlan => ({
    runs,
    skipped: [...skipped.values()],
    nextRunAt: next,
    caughtUp,
  });
  const times = timesFrom(schedule, nextRunAt);
  let looked = 0;
  // Skipped times are few: those of a gap, or the missed ones.
  for (const { at, dst } of times.after(nextRunAt - 1)) {
    if (at > now || runs.length === MAX_JOBS) return plan(at);
    if (++looked > MAX_COUNTED && at < now - LATE_MS) return plan(canCatchUp() ? at : times.next(now - LATE_MS - 1));
    if (dst === "skipped") skip("dst", at, at);
    else if (at < now - LATE_MS) planMissed(at);
    else planDue(at);
  }
  return plan(null);
}

/** Schedules per transaction: some milliseconds of the writer. */
const BATCH = 20;
/** A literal: SQLite would not use the index of active ones with a bound value. */
const ACTIVE = sql.lit(1 as const);

const SKIPPED_KIND = "schedule.skipped";
const SKIPPED_QUEUE: QueueName = "event-processing";

export type ScheduleContext = Uses<
  "db" | "reader" | "runner" | "clock" | "log" | "settings" | "config" | "ingest" | "defaultProjectId"
>;

/** Caught-up runs by schedule id, where more were missed than one transaction handles. */
export type CaughtUp = Map<string, number>;

type DueSchedule = ScheduleRow & { readonly nextRunAt: EpochMs };

/** Runs of a schedule that were skipped for one reason. */
export interface SkippedPayload extends Readonly<Skipped> {
  readonly scheduleId: string;
  readonly name: string;
}

interface Prepared {
  /** Jobs of the schedule, and jobs that report skipped runs. */
  readonly rows: readonly JobRow[];
  readonly plan: FiringPlan;
  readonly lastRunAt: EpochMs | null;
}

/**
 * Creates the jobs of the schedules that are due first. A firing's jobs, the reports of skipped
 * runs and the schedule's next time share a transaction: a crash neither loses nor repeats a run.
 */
export async function fireDueSchedules(context: ScheduleContext, caughtUp: CaughtUp): Promise<void> {
  const { db, clock, log } = context;
  const fired = await db.write(async (trx) => {
    const now = clock.now();
    const plans: (readonly [id: string, plan: FiringPlan, now: EpochMs])[] = [];
    const due = await dueSchedules(trx, now);
    const busy = await busySchedules(trx, due);
    for (const schedule of due) {
      const { id } = schedule;
      const situation = {
        now,
        maxCatchUp: context.settings.schedules.maxCatchUp,
        caughtUp: caughtUp.get(id) ?? 0,
        isBusy: busy.has(id),
      };
      const { rows, plan, lastRunAt } = prepare(context, schedule, situation);
      await insert(rows, trx);
      await trx.updateTable("schedules").set({ nextRunAt: plan.nextRunAt, lastRunAt }).where("id", "=", id).execute();
      plans.push([id, plan, now]);
    }
    return plans;
  });
  for (const [id, { runs, skipped, nextRunAt, caughtUp: sofar }, now] of fired) {
    log.debug({ scheduleId: id, jobs: runs.length, skipped: skipped.length, nextRunAt }, "schedule fired");
    // Kept while more is due.
    if (nextRunAt !== null && nextRunAt <= now) caughtUp.set(id, sofar);
    else caughtUp.delete(id);
  }
}

/** The job of a manual run at an instant other than the schedule's times. */
export async function runNow(
  context: ScheduleContext,
  schedule: ScheduleRow,
  correlationId: string | null,
  trx: Trx,
): Promise<JobRow> {
  const now = context.clock.now();
  const row = jobRow(context, schedule, JSON.parse(schedule.payload), now, { dedupeKey: null, correlationId });
  await insert([row], trx);
  await trx.updateTable("schedules").set({ lastRunAt: now }).where("id", "=", schedule.id).execute();
  return row;
}

/** A firing's rows. An unreadable schedule is stopped, so that it does not block the others. */
function prepare(context: ScheduleContext, schedule: DueSchedule, situation: Situation): Prepared {
  const { id: scheduleId, name, lastRunAt } = schedule;
  try {
    const plan = planFiring(schedule, situation);
    return { ...rowsOf(context, schedule, plan, situation.now), plan };
  } catch (error) {
    const message = "a schedule cannot be read; it runs no more until it is changed";
    context.log.error({ scheduleId, name, err: error }, message);
    return { rows: [], plan: { runs: [], skipped: [], nextRunAt: null, caughtUp: 0 }, lastRunAt };
  }
}

function rowsOf(
  context: ScheduleContext,
  schedule: DueSchedule,
  plan: FiringPlan,
  now: EpochMs,
): Omit<Prepared, "plan"> {
  const { runner, log } = context;
  const [firstRun] = plan.runs;
  const isFull = firstRun !== undefined && runner.isFull(schedule.queue as QueueName);
  const runs = isFull ? [] : plan.runs;
  const skipped: Skipped[] = [...plan.skipped];
  if (isFull) skipped.push({ reason: "overloaded", nominalAt: firstRun, count: plan.runs.length });
  const payload: unknown = JSON.parse(schedule.payload);
  const jobs = runs.map((at) =>
    jobRow(context, schedule, payload, at, { dedupeKey: `schedule:${schedule.id}:${at}`, correlationId: null }),
  );
  const lastRunAt = runs.at(-1) ?? schedule.lastRunAt;
  if (skipped.length > 0 && runner.isFull(SKIPPED_QUEUE)) {
    log.warn({ scheduleId: schedule.id, skipped }, "skipped runs; cannot store the events about them: storage is full");
    return { rows: jobs, lastRunAt };
  }
  return { rows: [...jobs, ...skipped.map((skip) => skippedRow(context, schedule, skip, now))], lastRunAt };
}

function jobRow(
  { settings, clock }: ScheduleContext,
  { id: scheduleId, queue: name, kind, label, createdBy, module, maxAttempts: ownAttempts }: ScheduleRow,
  payload: unknown,
  runAt: EpochMs,
  more: Pick<NewJob, "dedupeKey" | "correlationId">,
): JobRow {
  const queue = name as QueueName;
  const maxAttempts = ownAttempts ?? settings.queue(queue).maxAttempts;
  // Many recurring timers of a user are often due at the same second: one-shot timers come first.
  const priority = queue === "timers" && createdBy !== null ? -1 : 0;
  const work = { queue, kind, payload, runAt, maxAttempts, priority };
  return newJobRow({ ...work, label, createdBy, module, scheduleId, ...more }, clock.now());
}

function skippedRow(
  { settings }: ScheduleContext,
  { id, name }: ScheduleRow,
  { reason, nominalAt, count }: Skipped,
  now: EpochMs,
): JobRow {
  const payload: SkippedPayload = { scheduleId: id, name, nominalAt, reason, count };
  const { maxAttempts } = settings.queue(SKIPPED_QUEUE);
  return newJobRow({ queue: SKIPPED_QUEUE, kind: SKIPPED_KIND, payload, runAt: now, maxAttempts }, now);
}

async function insert(rows: readonly JobRow[], trx: Trx): Promise<void> {
  if (rows.length === 0) return;
  // Skips a time that recurs because the clock was set far back while its job is unfinished.
  insertJobs(trx, rows);
  addEffect(trx, jobsAdded(rows));
}

async function dueSchedules(trx: Trx, now: EpochMs): Promise<DueSchedule[]> {
  const rows = await trx
    .selectFrom("schedules")
    .selectAll()
    .where("active", "=", ACTIVE)
    .where("nextRunAt", "<=", now)
    .orderBy("nextRunAt")
    .limit(BATCH)
    .execute();
  return rows.flatMap((row) => (row.nextRunAt === null ? [] : [{ ...row, nextRunAt: row.nextRunAt }]));
}

/** The schedules with an unfinished job. */
async function busySchedules(trx: Trx, schedules: readonly ScheduleRow[]): Promise<ReadonlySet<string>> {
  const ids = schedules.filter(({ overlap }) => overlap === "skip").map(({ id }) => id);
  if (ids.length === 0) return new Set();
  const rows = await trx
    .selectFrom("jobs")
    .select("scheduleId")
    .distinct()
    .where("scheduleId", "in", ids)
    .where("finishedAt", "is", null)
    .execute();
  return new Set(rows.flatMap(({ scheduleId }) => (scheduleId === null ? [] : [scheduleId])));
}

/**
 * Ingests an event in the default project about skipped runs, so that a rule can notify users. The
 * event has its job's id and shares its commit: it is stored once.
 */
export function reportSkippedRuns({ runner, ingest, clock, defaultProjectId }: ScheduleContext): void {
  runner.handle(SKIPPED_KIND, async (job) => {
    const { nominalAt, ...payload } = job.payload as SkippedPayload;
    const succeeded = { outcome: "succeeded" as const, result: null };
    await ingest.ingest(
      {
        id: job.id,
        type: SKIPPED_KIND,
        payload: { ...payload, nominalAt: toRfc3339(nominalAt) },
        source: "schedules",
        level: "warn",
        projectId: defaultProjectId,
        correlationId: job.correlationId,
      },
      finishOf(job.claimed, runner.workerId, clock.now(), succeeded),
    );
    return COMPLETED;
  });
}
