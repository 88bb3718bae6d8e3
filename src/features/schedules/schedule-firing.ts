import { sql } from "kysely";
import { type Clock, type EpochMs, toRfc3339 } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { QueueName, QueueSettings } from "../../core/queues.ts";
import { insertJobs } from "../../store/commit/job-table.ts";
import type { JobRow } from "../../store/commit/write-set.ts";
import { addEffect, type Database, type Trx } from "../../store/database.ts";
import { jobsAdded } from "../../store/effect.ts";
import type { IngestService } from "../events/index.ts";
import { COMPLETED, finishOf, type JobRunner, type NewJob, newJobRow } from "../jobs/index.ts";
import { type ScheduleRow, timesFrom } from "./schedule-definition.ts";

/**
 * A run whose time passed longer ago than this has been missed (docs/schedules.md); until then it
 * is late.
 */
const LATE_MS = 30_000;

/** Jobs that one transaction makes for one schedule. */
const MAX_JOBS = 200;
/** Times that are looked at one by one; behind them nobody counts. */
const MAX_COUNTED = 1000;

/**
 * Why something did not run: its time passed while nobody could make it and the schedule makes up
 * for nothing, or for no more; a job of the schedule had not ended; the clock left its time out;
 * too many jobs wait in the queue.
 */
type SkipReason = "missed" | "catch-up" | "overlap" | "dst" | "overloaded";

/** Runs that did not happen, for one reason. */
interface Skipped {
  readonly reason: SkipReason;
  /** Of the first of them. */
  readonly nominalAt: EpochMs;
  count: number;
}

/** What becomes of the times of a schedule that have come. */
interface FiringPlan {
  /** Nominal times of the jobs to be made. */
  readonly runs: readonly EpochMs[];
  readonly skipped: readonly Skipped[];
  /** Not past, unless there is more to be done. */
  readonly nextRunAt: EpochMs | null;
  /**
   * Missed runs that have been made up for, those of earlier plans of the same catching up
   * included.
   */
  readonly caughtUp: number;
}

interface Situation {
  readonly now: EpochMs;
  readonly maxCatchUp: number;
  /** Missed runs that a plan before has made up for, when this one goes on with its work. */
  readonly caughtUp: number;
  /** A job of the schedule has not ended. */
  readonly isBusy: boolean;
}

/** @throws INVALID_CRON, RangeError when what is stored cannot be read by this version */
function planFiring(schedule: DueSchedule, { now, maxCatchUp, caughtUp: before, isBusy }: Situation): FiringPlan {
  const { nextRunAt, missed, overlap } = schedule;
  const runs: EpochMs[] = [];
  const skipped = new Map<string, Skipped>();
  let caughtUp = before;
  /** @param gap names the gap of the clock, each of which is told of by itself. */
  const skip = (reason: SkipReason, at: EpochMs, gap = 0): void => {
    const entry = skipped.get(`${reason} ${gap}`);
    if (entry) entry.count++;
    else skipped.set(`${reason} ${gap}`, { reason, nominalAt: at, count: 1 });
  };
  const canCatchUp = (): boolean => {
    // What is made up for does not overlap with itself: each of them was asked for.
    if (isBusy && overlap === "skip" && caughtUp === 0) return false;
    return caughtUp < (missed === "all" ? maxCatchUp : missed === "once" ? 1 : 0);
  };
  const planMissed = (at: EpochMs): void => {
    if (canCatchUp()) {
      caughtUp++;
      runs.push(at);
    } else if (missed === "skip") skip("missed", at);
    else if (caughtUp === 0) skip("overlap", at);
    // Else one run stands for all that were missed.
    else if (missed === "all") skip("catch-up", at);
  };
  const planDue = (at: EpochMs): void => {
    if (overlap === "allow" || (!isBusy && runs.length === 0)) runs.push(at);
    // Who is content with one run for all that were missed is content with it for the last seconds
    // too.
    else if (missed !== "once" || caughtUp === 0) skip("overlap", at);
  };
  const plan = (next: EpochMs | null): FiringPlan => ({
    runs,
    skipped: [...skipped.values()],
    nextRunAt: next,
    caughtUp,
  });
  const times = timesFrom(schedule, nextRunAt);
  let looked = 0;
  // The skipped are as many as the pattern has in a gap, or as have been missed.
  for (const { at, dst } of times.after(nextRunAt - 1)) {
    if (at > now || runs.length === MAX_JOBS) return plan(at);
    if (++looked > MAX_COUNTED && at < now - LATE_MS) return plan(canCatchUp() ? at : times.next(now - LATE_MS - 1));
    if (dst === "skipped") skip("dst", at, at);
    else if (at < now - LATE_MS) planMissed(at);
    else planDue(at);
  }
  return plan(null);
}

/** Schedules that fire in one transaction: some milliseconds of the writer. */
const BATCH = 20;
/** A literal: for a bound value SQLite would not use the index of the active ones. */
const ACTIVE = sql.lit(1 as const);

const SKIPPED_KIND = "schedule.skipped";
const SKIPPED_QUEUE: QueueName = "event-processing";

export interface FiringContext {
  readonly database: Database;
  readonly runner: JobRunner;
  readonly clock: Clock;
  readonly log: Logger;
  settingsOf(queue: QueueName): QueueSettings;
  maxCatchUp(): number;
}

/**
 * Of schedules that have more missed runs than one transaction makes up for: how many have been
 * made up for, by id.
 */
export type CaughtUp = Map<string, number>;

type DueSchedule = ScheduleRow & { readonly nextRunAt: EpochMs };

/** Runs of a schedule that did not happen, for one reason. */
interface SkippedPayload extends Readonly<Skipped> {
  readonly scheduleId: string;
  readonly name: string;
}

interface Prepared {
  /** Jobs: those of the schedule, and those that report what was skipped. */
  readonly rows: readonly JobRow[];
  readonly plan: FiringPlan;
  readonly lastRunAt: EpochMs | null;
}

/**
 * Makes the jobs of the schedules that are due first. The jobs of a firing, the jobs that report
 * what was skipped, and the schedule's next time are one transaction: a crash neither loses nor
 * repeats a run.
 */
export async function fireDueSchedules(context: FiringContext, caughtUp: CaughtUp): Promise<void> {
  const { database, clock, log } = context;
  const fired = await database.write(async (trx) => {
    const now = clock.now();
    const plans: (readonly [id: string, plan: FiringPlan, now: EpochMs])[] = [];
    const due = await dueSchedules(trx, now);
    const busy = await busySchedules(trx, due);
    for (const schedule of due) {
      const { id } = schedule;
      const situation = {
        now,
        maxCatchUp: context.maxCatchUp(),
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
    log.debug({ scheduleId: id, jobs: runs.length, skipped: skipped.length, nextRunAt }, "a schedule fires");
    // Remembered while there is more to come.
    if (nextRunAt !== null && nextRunAt <= now) caughtUp.set(id, sofar);
    else caughtUp.delete(id);
  }
}

/** The job of a run at some instant, which is not one of the schedule's times. */
export async function runNow(
  context: FiringContext,
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

/**
 * What a firing writes. A schedule that this version cannot read must not keep the others: it
 * stops.
 */
function prepare(context: FiringContext, schedule: DueSchedule, situation: Situation): Prepared {
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

function rowsOf(context: FiringContext, schedule: DueSchedule, plan: FiringPlan, now: EpochMs): Omit<Prepared, "plan"> {
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
    log.warn(
      { scheduleId: schedule.id, skipped },
      "runs were skipped, and there is no room for the events that say so",
    );
    return { rows: jobs, lastRunAt };
  }
  return { rows: [...jobs, ...skipped.map((skip) => skippedRow(context, schedule, skip, now))], lastRunAt };
}

function jobRow(
  { settingsOf, clock }: FiringContext,
  { id: scheduleId, queue: name, kind, label, createdBy, module, maxAttempts: ownAttempts }: ScheduleRow,
  payload: unknown,
  runAt: EpochMs,
  more: Pick<NewJob, "dedupeKey" | "correlationId">,
): JobRow {
  const queue = name as QueueName;
  const maxAttempts = ownAttempts ?? settingsOf(queue).maxAttempts;
  // Many recurring timers of one user are often due at the same second: timers that run once come
  // first.
  const priority = queue === "timers" && createdBy !== null ? -1 : 0;
  const work = { queue, kind, payload, runAt, maxAttempts, priority };
  return newJobRow({ ...work, label, createdBy, module, scheduleId, ...more }, clock.now());
}

function skippedRow(
  { settingsOf }: FiringContext,
  { id, name }: ScheduleRow,
  { reason, nominalAt, count }: Skipped,
  now: EpochMs,
): JobRow {
  const payload: SkippedPayload = { scheduleId: id, name, nominalAt, reason, count };
  const { maxAttempts } = settingsOf(SKIPPED_QUEUE);
  return newJobRow({ queue: SKIPPED_QUEUE, kind: SKIPPED_KIND, payload, runAt: now, maxAttempts }, now);
}

async function insert(rows: readonly JobRow[], trx: Trx): Promise<void> {
  if (rows.length === 0) return;
  // Without a time that comes again, because the clock was set far back, while its job has not
  // ended.
  await insertJobs(trx, rows);
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

/** Those of which a job has not ended. */
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

export interface SkippedContext {
  readonly runner: JobRunner;
  readonly ingest: IngestService;
  readonly clock: Clock;
  readonly defaultProjectId: string;
}

/**
 * Makes an event of the default project for runs that were skipped, so that a rule can notify
 * users. The event has the id of its job and is one commit with its end: it is stored once.
 */
export function reportSkippedRuns({ runner, ingest, clock, defaultProjectId }: SkippedContext): void {
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
