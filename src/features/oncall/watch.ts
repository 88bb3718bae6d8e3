import type { EpochMs } from "../../core/time/clock.ts";
import { DueTimes, SteadyClock } from "../../core/time/due-times.ts";
import { importCalendar } from "./calendars.ts";
import { reportDue } from "./hand-overs.ts";
import * as queries from "./queries.ts";
import { DUE_EVENT, type OnCallContext } from "./schedules.ts";

/** Calendars that are fetched at once, each of another creator. */
const CALENDARS_AT_ONCE = 8;

const RETRY_MS = 1000;

/**
 * Reports hand-overs and gaps, and reads calendars, when they are due. The due times are columns;
 * this keeps them in memory and is notified of each change.
 */
export class OnCallWatch {
  readonly #context: OnCallContext;
  /** For calendars: the time between two reads is elapsed time. */
  readonly #clock: SteadyClock;
  readonly #schedules: DueTimes<string>;
  readonly #calendars: DueTimes<string>;
  readonly #queue = new CalendarQueue({ run: (id) => this.#importNow(id), atOnce: CALENDARS_AT_ONCE });

  constructor(context: OnCallContext) {
    this.#context = context;
    this.#clock = new SteadyClock(context.clock);
    const onError = (err: unknown): void => this.#failed(err);
    // Shifts follow the wall clock: this one takes its steps for time that passes.
    const now = (): EpochMs => context.clock.now();
    const wall = new SteadyClock({ now, elapsed: now });
    this.#schedules = new DueTimes({ clock: wall, onError, handle: (ids) => this.#report(ids), batch: 20 });
    this.#calendars = new DueTimes({ clock: this.#clock, onError, handle: (ids) => this.#import(ids) });
    context.events.on("system:ready", () => this.start());
    context.events.on("system:stopping", () => this.stop());
    context.events.on("user:rights-changed", (data) => this.userChanged((data as { readonly userId: string }).userId));
    context.events.on(DUE_EVENT, (data) => this.changed((data as { readonly id: string }).id));
  }

  async start(): Promise<void> {
    const { db } = this.#context;
    for (const { id, dueAt } of await queries.dueTimes(db.read)) this.#schedules.set(id, dueAt);
    for (const { scheduleId, dueAt } of await queries.dueCalendars(db.read)) this.#readAt(scheduleId, dueAt);
    this.#schedules.start();
    this.#calendars.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#schedules.stop(), this.#calendars.stop(), this.#queue.close()]);
  }

  /** A schedule is new, changed or deleted. */
  async changed(id: string): Promise<void> {
    const calendar = await queries.calendarOf(this.#context.db.read, id);
    this.#schedules.set(id, this.#context.clock.now());
    this.#readAt(id, calendar?.dueAt ?? null);
    await this.#checkDue();
  }

  /** A user may be disabled, or active again: those on call may be others. */
  async userChanged(userId: string): Promise<void> {
    const ids = await queries.schedulesNaming(this.#context.db.read, userId);
    for (const id of ids) this.#schedules.set(id, this.#context.clock.now());
    if (ids.length > 0) await this.#checkDue();
  }

  /** Does what is due now. */
  async check(): Promise<void> {
    await this.#checkDue();
    await this.#queue.idle();
  }

  async #checkDue(): Promise<void> {
    await Promise.all([this.#schedules.check(), this.#calendars.check()]);
  }

  async #report(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const now = this.#context.clock.now();
      // The next one is not delayed by a schedule that fails, which is due again a second later.
      await this.#context.db
        .write((trx) => reportDue(this.#context, trx, id, now))
        .then((dueAt) => this.#schedules.set(id, dueAt))
        .catch((error: unknown) => this.#failed(error, id));
    }
  }

  async #import(ids: readonly string[]): Promise<void> {
    for (const { id, createdBy, projectId } of await queries.makersOf(this.#context.db.read, ids))
      this.#queue.add(createdBy ?? projectId, id);
    for (const id of ids) this.#calendars.delete(id);
  }

  async #importNow(id: string): Promise<void> {
    await importCalendar(this.#context, id)
      .then((dueAt) => this.#readAt(id, dueAt))
      .catch((error: unknown) => {
        this.#failed(error, id);
        this.#calendars.set(id, this.#clock.now() + RETRY_MS);
      });
  }

  /** @param dueAt by the wall clock; null: never */
  #readAt(id: string, dueAt: EpochMs | null): void {
    this.#calendars.set(id, dueAt === null ? null : this.#clock.fromWall(dueAt));
  }

  #failed(err: unknown, scheduleId?: string): void {
    this.#context.log.warn({ err, scheduleId }, "due on-call work failed; retrying");
  }
}

interface Options {
  /** Reads the calendar of a schedule. It does not throw. */
  readonly run: (scheduleId: string) => Promise<void>;
  /** Calendars that are read at once, each of another owner. */
  readonly atOnce: number;
}

/**
 * Calendars that are to be read, in turns by owner: one of an owner at a time, and the owner who waits
 * longest is next. So slow calendars of one delay those of others by one calendar.
 */
class CalendarQueue {
  readonly #options: Options;
  /** By owner, in the order of turns. */
  readonly #waiting = new Map<string, Set<string>>();
  readonly #running = new Map<string, Promise<void>>();
  #isOpen = true;

  constructor(options: Options) {
    this.#options = options;
  }

  /** A calendar that already waits keeps its place. */
  add(owner: string, scheduleId: string): void {
    const ids = this.#waiting.get(owner) ?? new Set();
    this.#waiting.set(owner, ids.add(scheduleId));
    this.#next();
  }

  /** Resolves when nothing waits or runs. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running.values());
  }

  /** Starts nothing more. Resolves when what runs is done. */
  async close(): Promise<void> {
    this.#isOpen = false;
    await Promise.all(this.#running.values());
  }

  #next(): void {
    for (const [owner, ids] of this.#waiting) {
      if (!this.#isOpen || this.#running.size >= this.#options.atOnce) return;
      if (!this.#running.has(owner)) this.#start(owner, ids);
    }
  }

  #start(owner: string, ids: Set<string>): void {
    const [id = ""] = ids;
    ids.delete(id);
    // To the end of the turns.
    this.#waiting.delete(owner);
    if (ids.size > 0) this.#waiting.set(owner, ids);
    const done = this.#options.run(id).finally(() => {
      this.#running.delete(owner);
      this.#next();
    });
    this.#running.set(owner, done);
  }
}
