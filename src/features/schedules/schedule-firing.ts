import { sql } from "kysely";
import type { Clock, EpochMs } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import { insertJobs } from "../../store/commit/job-table.ts";
import type { JobRow } from "../../store/commit/write-set.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { JobRunner } from "../jobs/index.ts";
import { type NewJob, newJobRow, type QueueName, type QueueSettings } from "../jobs/index.ts";
import type { ScheduleRow } from "./schedule-definition.ts";
import { type FiringPlan, planFiring, type Skipped } from "./schedule-plan.ts";
import { SKIPPED_KIND, SKIPPED_QUEUE, type SkippedPayload } from "./schedule-skipped.ts";

/** Schedules that fire in one transaction: some milliseconds of the writer. */
const BATCH = 20;
/** A literal: for a bound value SQLite would not use the index of the active ones. */
const ACTIVE = sql.lit(1 as const);

export interface FiringParts {
  readonly database: Database;
  readonly runner: JobRunner;
  readonly clock: Clock;
  readonly log: Logger;
  settingsOf(queue: QueueName): QueueSettings;
  maxCatchUp(): number;
}

type DueSchedule = ScheduleRow & { readonly nextRunAt: EpochMs };

interface Prepared {
  /** Jobs: those of the schedule, and those that tell of what was skipped. */
  readonly rows: readonly JobRow[];
  readonly plan: FiringPlan;
  readonly lastRunAt: EpochMs | null;
}

/**
 * Makes the jobs of schedules that are due. The jobs of a firing, the jobs that tell of what was skipped, and the schedule's next time are one
 * transaction: whatever crashes, each time has come to one end.
 */
export class ScheduleFiring {
  readonly #parts: FiringParts;
  /** Of schedules that have more missed runs than one transaction makes up for: how many have been made up for. */
  readonly #caughtUp = new Map<string, number>();

  constructor(parts: FiringParts) {
    this.#parts = parts;
  }

  /** Fires what is due first. @returns how many schedules that were. */
  async fire(): Promise<number> {
    const { database, clock } = this.#parts;
    return database.write(async (trx) => {
      const now = clock.now();
      const due = await dueSchedules(trx, now);
      if (due.length === 0) return 0;
      const busy = await busySchedules(trx, due);
      for (const schedule of due) {
        const { rows, plan, lastRunAt } = this.#prepared(schedule, busy.has(schedule.id), now);
        await this.#insert(rows, trx);
        await trx
          .updateTable("schedules")
          .set({ nextRunAt: plan.nextRunAt, lastRunAt })
          .where("id", "=", schedule.id)
          .execute();
        database.afterCommit(trx, () => this.#note(schedule.id, plan, now));
      }
      return due.length;
    });
  }

  /** The job of a run at some instant, which is not one of the schedule's times. */
  async runNow(schedule: ScheduleRow, correlationId: string | null, trx: Trx): Promise<JobRow> {
    const now = this.#parts.clock.now();
    const row = this.#jobRow(schedule, JSON.parse(schedule.payload), now, { dedupeKey: null, correlationId });
    await this.#insert([row], trx);
    await trx.updateTable("schedules").set({ lastRunAt: now }).where("id", "=", schedule.id).execute();
    return row;
  }

  /** What a firing writes. A schedule that this version cannot read must not keep the others: it stops. */
  #prepared(schedule: DueSchedule, isBusy: boolean, now: EpochMs): Prepared {
    const { id, name, lastRunAt } = schedule;
    try {
      const maxCatchUp = this.#parts.maxCatchUp();
      const plan = planFiring(schedule, { now, maxCatchUp, caughtUp: this.#caughtUp.get(id) ?? 0, isBusy });
      return { ...this.#rowsOf(schedule, plan, now), plan };
    } catch (error) {
      const message = "a schedule cannot be read; it runs no more until it is changed";
      this.#parts.log.error({ scheduleId: id, name, err: error }, message);
      return { rows: [], plan: { runs: [], skipped: [], nextRunAt: null, caughtUp: 0 }, lastRunAt };
    }
  }

  #rowsOf(schedule: DueSchedule, plan: FiringPlan, now: EpochMs): Omit<Prepared, "plan"> {
    const { runner, log } = this.#parts;
    const [firstRun] = plan.runs;
    const isFull = firstRun !== undefined && runner.isFull(schedule.queue as QueueName);
    const runs = isFull ? [] : plan.runs;
    const skipped: Skipped[] = [...plan.skipped];
    if (isFull) skipped.push({ reason: "overloaded", nominalAt: firstRun, count: plan.runs.length });
    const payload: unknown = JSON.parse(schedule.payload);
    const jobs = runs.map((at) =>
      this.#jobRow(schedule, payload, at, { dedupeKey: `schedule:${schedule.id}:${at}`, correlationId: null }),
    );
    const lastRunAt = runs.at(-1) ?? schedule.lastRunAt;
    if (skipped.length > 0 && runner.isFull(SKIPPED_QUEUE)) {
      log.warn(
        { scheduleId: schedule.id, skipped },
        "runs were skipped, and there is no room for the events that say so",
      );
      return { rows: jobs, lastRunAt };
    }
    return { rows: [...jobs, ...skipped.map((skip) => this.#noteOf(schedule, skip, now))], lastRunAt };
  }

  /** Remembers how much has been made up for, while there is more to come. */
  #note(id: string, { runs, skipped, nextRunAt, caughtUp }: FiringPlan, now: EpochMs): void {
    this.#parts.log.debug(
      { scheduleId: id, jobs: runs.length, skipped: skipped.length, nextRunAt },
      "a schedule fires",
    );
    if (nextRunAt !== null && nextRunAt <= now) this.#caughtUp.set(id, caughtUp);
    else this.#caughtUp.delete(id);
  }

  #jobRow(
    { id, queue, kind, label, createdBy, module, maxAttempts }: ScheduleRow,
    payload: unknown,
    runAt: EpochMs,
    more: Pick<NewJob, "dedupeKey" | "correlationId">,
  ): JobRow {
    const name = queue as QueueName;
    const attempts = maxAttempts ?? this.#parts.settingsOf(name).maxAttempts;
    // Many recurring timers of one user are often due at the same second: timers that run once come first.
    const priority = name === "timers" && createdBy !== null ? -1 : 0;
    const job = {
      queue: name,
      kind,
      payload,
      runAt,
      maxAttempts: attempts,
      label,
      createdBy,
      module,
      priority,
      scheduleId: id,
      ...more,
    };
    return newJobRow(job, this.#parts.clock.now());
  }

  #noteOf({ id, name }: ScheduleRow, { reason, nominalAt, count }: Skipped, now: EpochMs): JobRow {
    const payload: SkippedPayload = { scheduleId: id, name, nominalAt, reason, count };
    const { maxAttempts } = this.#parts.settingsOf(SKIPPED_QUEUE);
    const job = { queue: SKIPPED_QUEUE, kind: SKIPPED_KIND, payload, runAt: now, maxAttempts };
    return newJobRow(job, now);
  }

  async #insert(rows: readonly JobRow[], trx: Trx): Promise<void> {
    const { database, runner } = this.#parts;
    if (rows.length === 0) return;
    // Without a time that comes again, because the clock was set far back, while its job has not ended.
    await insertJobs(trx, rows);
    database.afterCommit(trx, () => runner.enqueued(rows));
  }
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
