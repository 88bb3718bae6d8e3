import type { Database as Sqlite } from "better-sqlite3";
import { sql } from "kysely";
import type { EpochMs } from "../../core/clock.ts";
import { DueTimer } from "../jobs/index.ts";
import { readableTimes } from "./schedule-definition.ts";
import { type CaughtUp, type FiringContext, fireDueSchedules } from "./schedule-firing.ts";

const TRY_AGAIN_MS = 1000;

/**
 * When the clock is set back, times between its new and its old reading have already been served
 * and are not repeated. Times further ahead than this are a correction: the clock was wrong before,
 * and the schedule follows the new one.
 */
export const SERVED_AHEAD_MS = 10_800_000;

/** Number of schedules processed at once. */
const PAGE = 200;

export interface EngineContext extends FiringContext {
  readonly reader: Sqlite;
}

/** Fires schedules on time. It knows when the next one is due, so the table is not polled. */
export class ScheduleEngine {
  readonly #context: EngineContext;
  readonly #due: DueTimer;
  readonly #caughtUp: CaughtUp = new Map();
  #isRunning = false;
  #working: Promise<void> | null = null;
  /** Another check is needed after the current one. */
  #isWanted = false;

  constructor(context: EngineContext) {
    this.#context = context;
    const { reader, clock, log } = context;
    const nextDue = reader.prepare<[], { at: number | null }>(
      "select min(nextRunAt) as at from schedules where active = 1 and nextRunAt is not null",
    );
    this.#due = new DueTimer({
      clock,
      readNext: () => nextDue.get()?.at ?? null,
      wake: () => void this.look(),
      onSetBack: (byMs) => log.warn({ byMs }, "the clock was set back; schedules with an interval go with it"),
    });
  }

  /** Starts to fire schedules; missed times according to each schedule's setting. */
  async start(): Promise<void> {
    await this.#follow(0);
    this.#isRunning = true;
    this.#due.start();
  }

  /** The current firing ends with its transaction. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#due.stop();
    await this.#working;
  }

  /** New or changed schedules were committed. */
  changed(): void {
    if (!this.#isRunning) return;
    this.#due.read();
    if (!this.#working) this.#due.arm();
  }

  /** Fires what is due. It also runs by itself when something is due, and once a minute. */
  look(): Promise<void> {
    this.#due.disarm();
    this.#isWanted = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
      this.#due.arm();
    });
    return this.#working;
  }

  async #work(): Promise<void> {
    while (this.#isWanted && this.#isRunning) {
      this.#isWanted = false;
      try {
        await this.#fireDue();
      } catch (error) {
        this.#context.log.warn({ err: error }, "schedules could not fire; trying again");
        this.#due.retryAt(this.#context.clock.now() + TRY_AGAIN_MS);
      }
    }
  }

  async #fireDue(): Promise<void> {
    const { clock } = this.#context;
    const setBack = this.#due.takeSetBack();
    if (setBack)
      await this.#follow(setBack.byMs).catch((error: unknown) => {
        this.#due.returnSetBack(setBack);
        throw error;
      });
    this.#due.read();
    while (this.#isRunning && this.#due.isDue(clock.now())) {
      await fireDueSchedules(this.#context, this.#caughtUp);
      this.#due.read();
    }
  }

  /**
   * Adjusts next times after the clock was set back: by a known amount, or while no server ran (0).
   * Intervals keep their length. @param byMs size of the step.
   */
  async #follow(byMs: number): Promise<void> {
    const { database, clock } = this.#context;
    const now = clock.now();
    if (byMs > 0)
      await database.write((trx) =>
        trx
          .updateTable("schedules")
          // A step of whole intervals would repeat earlier times, which name jobs.
          .set({ nextRunAt: sql`nextRunAt - ${byMs} + (case when ${byMs} % everyMs = 0 then 1 else 0 end)` })
          .where("everyMs", "is not", null)
          .where("nextRunAt", "is not", null)
          .execute(),
      );
    const tooFar = sql<boolean>`everyMs is not null and nextRunAt > ${now} + everyMs`;
    const ahead = await database.read.selectFrom("schedules").select("id").where(tooFar).limit(1).executeTakeFirst();
    // A start without corrections writes nothing.
    if (ahead)
      await database.write((trx) =>
        trx
          .updateTable("schedules")
          .set({ nextRunAt: sql`${now} + everyMs` })
          .where(tooFar)
          .execute(),
      );
    await this.#correctPatterns(now);
  }

  /** Schedules that wait for a far time, although their pattern has an earlier one. */
  async #correctPatterns(now: EpochMs): Promise<void> {
    const { database } = this.#context;
    const servedUntil = now + SERVED_AHEAD_MS;
    for (let after = ""; ; ) {
      const rows = await database.read
        .selectFrom("schedules")
        .select(["id", "cron", "everyMs", "timezone", "nextRunAt"])
        .where("id", ">", after)
        .where("cron", "is not", null)
        .where("nextRunAt", ">", servedUntil)
        .orderBy("id")
        .limit(PAGE)
        .execute();
      const corrected = rows.flatMap((row) => {
        const next = readableTimes(row, servedUntil)?.next(servedUntil) ?? null;
        return next !== null && row.nextRunAt !== null && next < row.nextRunAt ? [{ ...row, next }] : [];
      });
      if (corrected.length > 0)
        await database.write(async (trx) => {
          for (const { id, nextRunAt, next } of corrected)
            await trx
              .updateTable("schedules")
              .set({ nextRunAt: next })
              .where("id", "=", id)
              .where("nextRunAt", "=", nextRunAt)
              .execute();
        });
      after = rows.at(-1)?.id ?? "";
      if (rows.length < PAGE) return;
    }
  }
}
