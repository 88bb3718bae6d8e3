import { DueTimes, SteadyClock } from "../../core/time/due-times.ts";
import type { FeatureCore } from "../../module/feature.ts";
import type { EffectOf } from "../../store/effect.ts";
import { importCalendar } from "./calendars.ts";
import { reportDue } from "./hand-overs.ts";
import * as queries from "./queries.ts";
import type { OnCallContext } from "./schedules.ts";

/** Calendars that are fetched at once, each of another creator. */
const CALENDARS_AT_ONCE = 8;

const RETRY_MS = 1000;

/** Reports hand-overs and gaps, and reads calendars, when they are due: the due times are columns. */
export class OnCallWatch {
  /** Complete once all features are open. */
  readonly #context: () => OnCallContext;
  /** For calendars: the time between two reads is elapsed time. */
  readonly #clock: SteadyClock;
  /** Shifts follow the wall clock. */
  readonly schedules: DueTimes<string>;
  readonly calendars: DueTimes<string>;
  readonly #queue = new CalendarQueue({ run: (id) => this.#importNow(id), atOnce: CALENDARS_AT_ONCE });

  constructor({ clock, reader, log }: FeatureCore, contextOf: () => OnCallContext) {
    let context: OnCallContext | undefined;
    this.#context = () => {
      context ??= contextOf();
      return context;
    };
    this.#clock = new SteadyClock(clock);
    const onError = (err: unknown, scheduleIds: readonly string[]): void =>
      log.warn({ err, scheduleIds }, "due on-call work failed; retrying");
    this.schedules = new DueTimes({
      clock,
      read: () => queries.dueSchedules(reader),
      handle: (ids) => this.#report(ids),
      onError,
      batch: 1,
    });
    this.calendars = new DueTimes({
      clock: this.#clock,
      read: () => queries.dueCalendars(reader).map(({ id, dueAt }) => [id, this.#clock.fromWall(dueAt)]),
      handle: (ids) => this.#import(ids),
      onError,
    });
  }

  /** A commit has changed due times, by the wall clock. */
  changed({ id, dueAt, calendarAt }: EffectOf<"oncall-due">): void {
    if (dueAt !== undefined) this.schedules.set(id, dueAt);
    // Who is on call now, and not after a turn of timers.
    void this.schedules.check();
    if (calendarAt !== undefined) this.calendars.set(id, calendarAt && this.#clock.fromWall(calendarAt));
  }

  /** A user may be disabled, or active again: those on call may be others. */
  async userChanged(userId: string): Promise<void> {
    const { db, clock } = this.#context();
    for (const id of await queries.schedulesNaming(db.read, userId)) this.schedules.set(id, clock.now());
  }

  /** Resolves when no calendar is read any more. */
  stop(): Promise<void> {
    return this.#queue.close();
  }

  async #report(ids: readonly string[]): Promise<void> {
    const context = this.#context();
    const now = context.clock.now();
    for (const id of ids) await context.db.write((trx) => reportDue(context, trx, id, now));
  }

  async #import(ids: readonly string[]): Promise<void> {
    for (const { id, createdBy, projectId } of await queries.makersOf(this.#context().db.read, ids))
      this.#queue.add(createdBy ?? projectId, id);
    for (const id of ids) this.calendars.delete(id);
  }

  async #importNow(id: string): Promise<void> {
    await importCalendar(this.#context(), id).catch((err: unknown) => {
      this.#context().log.warn({ err, scheduleId: id }, "due on-call work failed; retrying");
      this.calendars.set(id, this.#clock.now() + RETRY_MS);
    });
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
