import type { Database as Sqlite } from "better-sqlite3";
import type { Clock, EpochMs } from "../../core/clock.ts";
import { deferred } from "../../core/promises.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database, ReadDb, Trx } from "../../store/database.ts";
import type { Projects, UserDirectory } from "../access/index.ts";
import { firstSeqSince, IS_ERROR_ROW, isErrorEvent } from "../events/index.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import type { Announcer, Notifier, Observer } from "../notifications/index.ts";
import type { IncomingEvent } from "../rules/index.ts";
import { type ErrorBurst, ErrorSum, ErrorWindow } from "./error-window.ts";

const MARK = "alert:";

/** The last alert of a project, for the silence after it. */
export interface AlertMark {
  readonly at: EpochMs;
  /** Errors up to this offset are reported. */
  readonly upToSeq: number;
}

export async function markOf(db: ReadDb | Trx, projectId: string): Promise<AlertMark | null> {
  const row = await db
    .selectFrom("settings")
    .select("value")
    .where("key", "=", MARK + projectId)
    .executeTakeFirst();
  return row ? (JSON.parse(String(row.value)) as AlertMark) : null;
}

/** The marks of all projects that have had an alert. */
export async function allMarks(db: ReadDb): Promise<Map<string, AlertMark>> {
  const rows = await db
    .selectFrom("settings")
    .select(["key", "value"])
    .where("key", ">=", MARK)
    .where("key", "<", "alert;")
    .execute();
  return new Map(rows.map(({ key, value }) => [key.slice(MARK.length), JSON.parse(String(value)) as AlertMark]));
}

export async function putMark(trx: Trx, projectId: string, mark: AlertMark): Promise<void> {
  const row = { value: JSON.stringify(mark), updatedAt: mark.at };
  await trx
    .insertInto("settings")
    .values({ key: MARK + projectId, ...row })
    .onConflict((conflict) => conflict.column("key").doUpdateSet(row))
    .execute();
}

/** Errors of all projects in a range of offsets, ascending. */
export function errorsBetween(scan: ReadDb, from: number, upTo: number, limit: number) {
  return scan
    .selectFrom("events")
    .select(["seq", "projectId", "receivedAt"])
    .where("seq", ">=", from)
    .where("seq", "<=", upTo)
    .where(IS_ERROR_ROW)
    .orderBy("seq")
    .limit(limit)
    .execute();
}

/** The existing ones of these events, ascending. */
export function eventsOf(db: ReadDb, seqs: readonly number[]) {
  return db
    .selectFrom("events")
    .select(["seq", "id", "type", "level", "receivedAt", "payload"])
    .where("seq", "in", seqs)
    .orderBy("seq")
    .execute();
}

/** Dependencies besides the services of every module. */
export interface AlertsOwn {
  readonly db: Database;
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly announcer: Announcer;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly settings: LiveSettings;
  readonly notify: Notifier;
}

export type AlertsContext = AlertsOwn & Pick<CoreServices, "log">;

const PAGE = 5000;
/** Limit of errors that wait until earlier ones are loaded. */
const MAX_HELD = 100_000;
/** Limit of projects in memory; those whose window has passed are removed. */
const MAX_WINDOWS = 10_000;
/**
 * After this time a job that should have sent an alert may be gone, for example cancelled. If it
 * still waits, its key covers the new one.
 */
const BUSY_MS = 300_000;

interface NotedError {
  readonly projectId: string;
  readonly seq: number;
  readonly receivedAt: EpochMs;
}

/** A burst to report. */
export interface RaisedBurst extends ErrorBurst {
  /** It happened during a silence, which ends at `runAt`; then all its errors are reported. */
  readonly isFollowUp: boolean;
  readonly runAt: EpochMs;
}

/** Called with a burst; resolves when the alert's job is in the table. */
type Raise = (projectId: string, burst: RaisedBurst) => Promise<void>;

/**
 * Counts the errors of each project as they are committed: checking level and type of an event has
 * no measurable cost, and the log is not read again. Errors before the start are read once, in the
 * scan thread.
 */
export class ErrorWatch implements Observer {
  readonly #context: AlertsContext;
  readonly #raise: Raise;
  readonly #thresholdOf;
  readonly #windows = new Map<string, ErrorWindow>();
  /** Unreported errors of projects, from an alert until the end of its silence. */
  readonly #untold = new Map<string, ErrorSum>();
  /** Time of each project's last alert, for the silence after it. */
  readonly #toldAt = new Map<string, EpochMs>();
  /** Projects whose alert is being sent, and since when. */
  readonly #busy = new Map<string, EpochMs>();
  /** Errors before the past was loaded; null since then. */
  #held: NotedError[] | null = [];
  #bursts = new Map<string, RaisedBurst>();
  #wakeUp = deferred<void>();

  constructor(context: AlertsContext, raise: Raise) {
    this.#context = context;
    this.#raise = raise;
    this.#thresholdOf = context.reader.prepare<[string], { threshold: number | null }>(
      "select json_extract(settings, '$.alertThreshold') as threshold from projects where id = ?",
    );
  }

  /** Resolves when the errors before the start are counted; callers need not wait. */
  async start(): Promise<void> {
    const { announcer, reader, log } = this.#context;
    announcer.observe(this);
    void this.#work();
    const last = reader
      .prepare<[], { seq: number; receivedAt: number }>(
        "select seq, receivedAt from events where seq = (select max(seq) from events)",
      )
      .get();
    try {
      await this.#recall(last);
    } catch (error) {
      log.warn({ err: error }, "errors before the start are not counted for alerts");
    }
    const held = this.#held ?? [];
    this.#held = null;
    this.#note(held);
  }

  events(events: readonly IncomingEvent[]): void {
    const errors = events.filter(isErrorEvent);
    if (errors.length === 0) return;
    if (this.#held === null) this.#note(errors);
    else if (this.#held.length < MAX_HELD) this.#held.push(...errors.map(factsOf));
  }

  notifications(): void {}

  /** The project was notified of these errors: only later ones count. */
  told(projectId: string, at: EpochMs, burst: Pick<ErrorBurst, "count" | "lastSeq" | "lastAt">): void {
    this.#busy.delete(projectId);
    this.#toldAt.set(projectId, at);
    this.#windows.get(projectId)?.drop(burst.lastSeq);
    this.#untold.get(projectId)?.drop(burst.count, burst.lastSeq, burst.lastAt);
    this.#look(projectId);
  }

  /** A project's unreported errors; null if this process has seen none. */
  untold(projectId: string): ErrorBurst | null {
    return this.#untold.get(projectId)?.facts() ?? null;
  }

  /** The job did nothing: the next error may raise another alert. */
  released(projectId: string): void {
    this.#busy.delete(projectId);
  }

  #note(errors: readonly NotedError[]): void {
    const projects = new Set<string>();
    for (const { projectId, receivedAt, seq } of errors) {
      this.#windowOf(projectId).add(receivedAt, seq);
      this.#untold.get(projectId)?.add(receivedAt, seq);
      projects.add(projectId);
    }
    for (const projectId of projects) this.#look(projectId);
  }

  #windowOf(projectId: string): ErrorWindow {
    const known = this.#windows.get(projectId);
    if (known) return known;
    if (this.#windows.size >= MAX_WINDOWS) this.#forgetOld();
    const made = new ErrorWindow();
    this.#windows.set(projectId, made);
    return made;
  }

  #forgetOld(): void {
    const { clock, settings } = this.#context;
    const now = clock.now();
    const { windowMs, cooldownMs } = settings.alert;
    for (const [id, window] of this.#windows) if (window.isOver(now, windowMs)) this.#windows.delete(id);
    for (const [id, at] of this.#toldAt) {
      if (isSilent(now, at, cooldownMs)) continue;
      this.#toldAt.delete(id);
      if (!this.#busy.has(id)) this.#untold.delete(id);
    }
  }

  #look(projectId: string): void {
    const { clock, settings } = this.#context;
    const { errorThreshold, windowMs, cooldownMs } = settings.alert;
    const threshold = this.#thresholdOf.get(projectId)?.threshold ?? errorThreshold;
    const burst = this.#windows.get(projectId)?.burst(threshold, windowMs);
    if (!burst) return;
    const now = clock.now();
    const toldAt = this.#toldAt.get(projectId) ?? Number.NEGATIVE_INFINITY;
    const isFollowUp = isSilent(now, toldAt, cooldownMs);
    // Uses the distance: after the clock was set back, a lost job must not silence the project
    // until that time comes again.
    if (Math.abs(now - (this.#busy.get(projectId) ?? Number.NEGATIVE_INFINITY)) < BUSY_MS) return;
    this.#busy.set(projectId, now);
    if (!isFollowUp) this.#untold.set(projectId, ErrorSum.of(burst));
    this.#bursts.set(projectId, { ...burst, isFollowUp, runAt: isFollowUp ? toldAt + cooldownMs : now });
    // Must not write inside the commit that announces the error.
    this.#wakeUp.resolve();
  }

  async #work(): Promise<never> {
    for (;;) {
      await this.#wakeUp.promise;
      this.#wakeUp = deferred();
      const bursts = this.#bursts;
      this.#bursts = new Map();
      for (const [projectId, burst] of bursts)
        await this.#raise(projectId, burst).catch((error: unknown) => {
          this.released(projectId);
          this.#context.log.warn({ projectId, err: error }, "an alert could not be queued; the next error tries again");
        });
    }
  }

  /** Errors before the start that still count, and the current silences. */
  async #recall(last: { readonly seq: number; readonly receivedAt: number } | undefined): Promise<void> {
    const { db, clock, settings } = this.#context;
    const { windowMs } = settings.alert;
    const marks = await allMarks(db.read);
    const { cooldownMs } = settings.alert;
    for (const [projectId, { at }] of marks) {
      this.#toldAt.set(projectId, at);
      if (isSilent(clock.now(), at, cooldownMs)) this.#untold.set(projectId, new ErrorSum());
    }
    const since = clock.now() - windowMs;
    // Usually nothing is recent: then nothing is read and no thread is started.
    if (!last || last.receivedAt < since) return;
    for (let from = await firstSeqSince(db.scan, since); from <= last.seq; ) {
      const page = await errorsBetween(db.scan, from, last.seq, PAGE);
      this.#note(page.filter(({ projectId, seq }) => seq > (marks.get(projectId)?.upToSeq ?? 0)));
      if (page.length < PAGE) return;
      from = (page.at(-1)?.seq ?? last.seq) + 1;
    }
  }
}

/** Whether an alert still silences its project; also after the clock was set back. */
export function isSilent(now: EpochMs, toldAt: EpochMs, cooldownMs: number): boolean {
  return Math.abs(now - toldAt) < cooldownMs;
}

/** Keeping the event itself would keep its payload. */
function factsOf({ projectId, seq, receivedAt }: NotedError): NotedError {
  return { projectId, seq, receivedAt };
}
