import { sql } from "kysely";
import { currentCaller, type PermissionHolder } from "../../../core/caller.ts";
import { limitReached, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { parseQueueName, type QueueName } from "../../../core/limits/queues.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { DueTimes } from "../../../core/time/due-times.ts";
import { requireVersion } from "../../../http/body/negotiation.ts";
import { addEffect, type InTransaction, type Trx } from "../../../store/database.ts";
import { requireRoom, StepsBack } from "../jobs/index.ts";
import { type Occurrence, recurrenceOf } from "./cron/recurrence.ts";
import { type ScheduleRow, ScheduleTable } from "./schedule.ts";
import {
  definitionOf,
  firstRunAt,
  readableTimes,
  requireTimezone,
  type Schedule,
  type ScheduleChanges,
  type ScheduleInput,
  scheduleOf,
} from "./schedule-definition.ts";
import { type CaughtUp, fireDueSchedules, reportSkippedRuns, runNow, type ScheduleContext } from "./schedule-firing.ts";

export type { Schedule, ScheduleChanges, ScheduleInput } from "./schedule-definition.ts";

/** The job just created by a schedule. */
export interface ScheduleRun {
  readonly jobId: string;
  readonly runAt: EpochMs;
  readonly state: string;
}

/** Checks the payload of a schedule's jobs. @returns the stored payload. */
export type PayloadResolver = (payload: unknown, creator: PermissionHolder, trx: Trx) => Promise<unknown>;

/**
 * Schedules: definitions that create jobs by the wall clock of a zone or by elapsed time
 * (docs/schedules.md). Each firing is one transaction. Changes take effect with their commit.
 */
export class Schedules {
  readonly #parts: ScheduleContext;
  readonly #engine: ScheduleEngine;
  /** Kinds of jobs that operators may schedule, by queue and kind. */
  readonly #kinds = new Map<string, PayloadResolver>();

  constructor(parts: ScheduleContext) {
    this.#parts = parts;
    this.#engine = new ScheduleEngine(parts);
    reportSkippedRuns(parts);
  }

  /** Default time zone. */
  get timezone(): string {
    return this.#parts.config.timezone;
  }

  /** When the next schedule is due. */
  get due(): DueTimes<"next"> {
    return this.#engine.due;
  }

  /** Before schedules fire; missed times do according to each schedule's setting. */
  start(): Promise<void> {
    return this.#engine.start();
  }

  /** Lets operators schedule this kind while it has a handler. @returns a function that unregisters it */
  offer(queue: QueueName, kind: string, resolve: PayloadResolver = async (payload) => payload): () => void {
    const key = `${queue} ${kind}`;
    this.#kinds.set(key, resolve);
    return () => {
      if (this.#kinds.get(key) === resolve) this.#kinds.delete(key);
    };
  }

  /** The kinds that operators can schedule now, by queue. */
  kinds(): readonly { readonly queue: string; readonly kind: string }[] {
    return [...this.#kinds.keys()].sort().map((key) => {
      const [queue = "", kind = ""] = key.split(" ");
      return { queue, kind };
    });
  }

  /** @throws VALIDATION_FAILED for a kind without a handler, or of jobs that only Prism creates */
  requireKind(queueName: string, kind: string): { readonly queue: QueueName; readonly resolve: PayloadResolver } {
    const queue = parseQueueName(queueName);
    const resolve = queue && this.#kinds.get(`${queue} ${kind}`);
    if (queue && resolve) return { queue, resolve };
    const known = this.kinds().map((each) => `${each.kind} in ${each.queue}`);
    throw new PrismError("VALIDATION_FAILED", "Unknown job kind", {
      details: [{ path: "kind", code: "VALUE", message: `must be one of: ${known.join(", ")}`, known }],
    });
  }

  /**
   * @throws NAME_TAKEN, INVALID_CRON, INVALID_TIMEZONE, VALIDATION_FAILED, PAYLOAD_TOO_LARGE,
   * LIMIT_REACHED
   */
  create(input: ScheduleInput, options: InTransaction = {}): Promise<Schedule> {
    return this.#parts.db.writeIn(options, (trx) => this.#create(input, trx));
  }

  /**
   * Ensures that the schedule exists, for code that declares it at every start. An unchanged one
   * keeps its next time, so that missed runs are caught up; an operator's change of `active` is
   * kept unless it is given.
   * @throws NAME_TAKEN when another module or a user owns the name; and as {@link create}
   */
  async put(input: ScheduleInput, options: InTransaction = {}): Promise<Schedule> {
    if (!options.trx) {
      // Features put theirs at each start: one that is stored as it is asked for takes no transaction.
      const stored = await findByName(this.#parts.db.read, input.name);
      if (stored && ownerOf(stored) === ownerOf(input) && !this.#differs(stored, input)) return scheduleOf(stored);
    }
    return this.#parts.db.writeIn(options, async (trx) => {
      const old = await findByName(trx, input.name);
      if (!old) return this.#create(input, trx);
      if (ownerOf(old) !== ownerOf(input)) throw nameTaken();
      return this.#change(old, input, trx);
    });
  }

  /**
   * Changes the given members. A new pattern, interval or zone, or activation, takes effect from
   * now.
   * @param ifMatch the version the caller has seen, as in `If-Match`; empty for any.
   * @throws SCHEDULE_NOT_FOUND, VERSION_CONFLICT, and as {@link create}
   */
  update(
    id: string,
    changes: ScheduleChanges,
    { trx: outer, ifMatch = "" }: InTransaction & { readonly ifMatch?: string } = {},
  ): Promise<Schedule> {
    return this.#parts.db.writeIn({ trx: outer }, async (trx) => {
      const old = await requireRow(trx, id);
      requireVersion(ifMatch, old.version);
      if (changes.name !== undefined && changes.name !== old.name && (await findByName(trx, changes.name)))
        throw nameTaken();
      return this.#change(old, changes, trx);
    });
  }

  /** Existing jobs continue. @throws SCHEDULE_NOT_FOUND */
  delete(id: string, options: InTransaction = {}): Promise<void> {
    return this.#parts.db.writeIn(options, async (trx) => {
      await requireRow(trx, id);
      await this.#delete(id, trx);
    });
  }

  /** {@link delete} by name. @returns whether it existed. */
  remove(name: string, options: InTransaction = {}): Promise<boolean> {
    return this.#parts.db.writeIn(options, async (trx) => {
      const row = await findByName(trx, name);
      if (row) await this.#delete(row.id, trx);
      return row !== undefined;
    });
  }

  /**
   * Creates a job of the schedule now, whether or not it is active.
   * @throws SCHEDULE_NOT_FOUND, INVALID_STATE while a job is unfinished and overlap is not allowed,
   * OVERLOADED
   */
  run(id: string, options: InTransaction = {}): Promise<ScheduleRun> {
    return this.#parts.db.writeIn(options, async (trx) => {
      const row = await requireRow(trx, id);
      if (row.overlap === "skip") await requireIdle(trx, id);
      requireRoom(this.#parts.runner, row.queue as QueueName);
      const correlationId = currentCaller().correlationId ?? uuidv7();
      const { id: jobId, runAt, state } = await runNow(this.#parts, row, correlationId, trx);
      return { jobId, runAt, state };
    });
  }

  async find(id: string, { trx }: InTransaction = {}): Promise<Schedule | undefined> {
    const row = await ScheduleTable.find(trx ?? this.#parts.db.read, id);
    return row && scheduleOf(row);
  }

  async findByName(name: string, { trx }: InTransaction = {}): Promise<Schedule | undefined> {
    const row = await findByName(trx ?? this.#parts.db.read, name);
    return row && scheduleOf(row);
  }

  /** The next times of a schedule, including skipped ones; none for an inactive one. */
  nextRuns(schedule: Timed, count: number): Occurrence[] {
    const { nextRunAt } = schedule;
    return (nextRunAt !== null && readableTimes(schedule, nextRunAt)?.preview(nextRunAt - 1, count)) || [];
  }

  /** The next run. The table's time may be earlier, to report a skipped run. */
  nextRunOf(schedule: Timed): EpochMs | null {
    const { nextRunAt } = schedule;
    return (nextRunAt !== null && readableTimes(schedule, nextRunAt)?.nextRun(nextRunAt - 1)) || null;
  }

  /** The next times of a pattern. @throws INVALID_CRON, INVALID_TIMEZONE */
  preview(cron: string, timezone: string | undefined, count: number): Occurrence[] {
    const now = this.#parts.clock.now();
    const zone = requireTimezone(timezone ?? this.#parts.config.timezone);
    return recurrenceOf({ cron, timezone: zone }, now).preview(now, count);
  }

  async #create(input: ScheduleInput, trx: Trx): Promise<Schedule> {
    if (await findByName(trx, input.name)) throw nameTaken();
    await this.#requireRoom(input.createdBy ?? null, trx);
    const now = this.#parts.clock.now();
    const definition = definitionOf(input, null, this.#parts.config.timezone);
    const row: ScheduleRow = {
      id: input.id ?? uuidv7(),
      ...definition,
      lastRunAt: null,
      nextRunAt: firstRunAt(definition, now),
      version: 1,
      createdAt: now,
      updatedAt: now,
    };
    await trx.insertInto("schedules").values(row).execute();
    this.#changed(trx);
    return scheduleOf(row);
  }

  /** Prism and its modules have no limit. */
  async #requireRoom(createdBy: string | null, trx: Trx): Promise<void> {
    if (createdBy === null) return;
    const max = this.#parts.settings.limits.schedulesPerUser;
    if ((await countOfCreator(trx, createdBy)) >= max)
      throw limitReached("You have too many schedules and recurring timers", "limits.schedulesPerUser", max);
  }

  async #change(old: ScheduleRow, input: ScheduleChanges, trx: Trx): Promise<Schedule> {
    if (!this.#differs(old, input)) return scheduleOf(old);
    const now = this.#parts.clock.now();
    const definition = definitionOf(input, old, this.#parts.config.timezone);
    const isOtherTime = (["cron", "everyMs", "timezone", "active"] as const).some(
      (key) => definition[key] !== old[key],
    );
    const nextRunAt = isOtherTime ? firstRunAt(definition, now) : old.nextRunAt;
    const changes = { ...definition, nextRunAt, version: old.version + 1, updatedAt: now };
    await trx.updateTable("schedules").set(changes).where("id", "=", old.id).execute();
    this.#changed(trx);
    return scheduleOf({ ...old, ...changes });
  }

  #differs(old: ScheduleRow, input: ScheduleChanges): boolean {
    const definition = definitionOf(input, old, this.#parts.config.timezone);
    return (Object.keys(definition) as (keyof typeof definition)[]).some((key) => definition[key] !== old[key]);
  }

  async #delete(id: string, trx: Trx): Promise<void> {
    await trx.deleteFrom("schedules").where("id", "=", id).execute();
    this.#changed(trx);
  }

  #changed(trx: Trx): void {
    addEffect(trx, { type: "schedules-changed" });
  }

  /** Schedules were created, changed or deleted. */
  changed(): void {
    this.#engine.due.load();
  }
}

type Timed = Pick<Schedule, "cron" | "everyMs" | "timezone" | "nextRunAt">;
type Readable = Pick<Trx, "selectFrom">;

function findByName(db: Readable, name: string): Promise<ScheduleRow | undefined> {
  return db.selectFrom("schedules").selectAll().where("name", "=", name).executeTakeFirst();
}

async function countOfCreator(db: Readable, createdBy: string): Promise<number> {
  const row = await db
    .selectFrom("schedules")
    .select((e) => e.fn.countAll<number>().as("n"))
    .where("createdBy", "=", createdBy)
    .executeTakeFirst();
  return row?.n ?? 0;
}

function requireRow(trx: Trx, id: string): Promise<ScheduleRow> {
  return ScheduleTable.require(trx, id, "SCHEDULE_NOT_FOUND", "schedule");
}

async function requireIdle(trx: Trx, id: string): Promise<void> {
  const job = await trx
    .selectFrom("jobs")
    .select("id")
    .where("scheduleId", "=", id)
    .where("finishedAt", "is", null)
    .limit(1)
    .executeTakeFirst();
  if (job)
    throw new PrismError("INVALID_STATE", `Job ${job.id} of the schedule is unfinished, and overlap is not allowed`);
}

function nameTaken(): PrismError {
  return new PrismError("NAME_TAKEN", "Another schedule has this name");
}

/** The module or user that it belongs to. */
function ownerOf({ module, createdBy }: Pick<ScheduleInput, "module" | "createdBy">): string {
  return JSON.stringify([module ?? null, createdBy ?? null]);
}

/**
 * When the clock is set back, times between its new and its old reading have already been served
 * and are not repeated. Times further ahead than this are a correction: the clock was wrong before,
 * and the schedule follows the new one.
 */
const SERVED_AHEAD_MS = 10_800_000;

/** Number of schedules processed at once. */
const PAGE = 200;

/** Fires schedules on time. It knows when the next one is due, so the table is not polled. */
class ScheduleEngine {
  readonly #context: ScheduleContext;
  readonly due: DueTimes<"next">;
  readonly #steps: StepsBack;
  readonly #nextAt: () => EpochMs | null;
  readonly #caughtUp: CaughtUp = new Map();

  constructor(context: ScheduleContext) {
    this.#context = context;
    const { reader, clock, log } = context;
    const next = reader.prepare<[], { at: number | null }>(
      "select min(nextRunAt) as at from schedules where active = 1 and nextRunAt is not null",
    );
    this.#nextAt = () => next.get()?.at ?? null;
    this.#steps = new StepsBack(clock, (byMs) => {
      log.warn({ byMs }, "clock set back; moving the times of schedules with an interval");
      this.due.set("next", clock.now());
    });
    this.due = new DueTimes({
      clock: this.#steps,
      read: () => [["next", this.#nextAt()]],
      handle: () => this.#fireDue(),
      onError: (err) => log.warn({ err }, "firing schedules failed; retrying"),
    });
  }

  async start(): Promise<void> {
    await this.#follow(0);
    this.due.load();
  }

  async #fireDue(): Promise<void> {
    const { clock } = this.#context;
    const setBack = this.#steps.take();
    if (setBack)
      await this.#follow(setBack.byMs).catch((error: unknown) => {
        this.#steps.giveBack(setBack);
        throw error;
      });
    let at = this.#nextAt();
    while (this.due.isRunning && at !== null && at <= clock.now()) {
      await fireDueSchedules(this.#context, this.#caughtUp);
      at = this.#nextAt();
    }
    this.due.set("next", at);
  }

  /**
   * Adjusts next times after the clock was set back: by a known amount, or while no server ran (0).
   * Intervals keep their length. @param byMs size of the step.
   */
  async #follow(byMs: number): Promise<void> {
    const { db, clock } = this.#context;
    const now = clock.now();
    if (byMs > 0)
      await db.write((trx) =>
        trx
          .updateTable("schedules")
          // A step of whole intervals would repeat earlier times, which name jobs.
          .set({ nextRunAt: sql`nextRunAt - ${byMs} + (case when ${byMs} % everyMs = 0 then 1 else 0 end)` })
          .where("everyMs", "is not", null)
          .where("nextRunAt", "is not", null)
          .execute(),
      );
    const tooFar = sql<boolean>`everyMs is not null and nextRunAt > ${now} + everyMs`;
    const ahead = await db.read.selectFrom("schedules").select("id").where(tooFar).limit(1).executeTakeFirst();
    // A start without corrections writes nothing.
    if (ahead)
      await db.write((trx) =>
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
    const { db } = this.#context;
    const servedUntil = now + SERVED_AHEAD_MS;
    for (let after = ""; ; ) {
      const rows = await db.read
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
        await db.write(async (trx) => {
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
