import { sql } from "kysely";
import { deferred } from "../../../core/promises.ts";
import { isErrorEvent, isOwnEvent } from "../../../core/text/vocabulary.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { Context } from "../../../module/feature.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { putSetting, readSetting } from "../../../store/setting-rows.ts";
import { firstSeqSince, IS_ERROR_ROW, IS_IN_ALERT, IS_OF_PRODUCER } from "../../events/index.ts";
import { type IncomingEvent, MatchCounts } from "../../rules/index.ts";

const MARK = "alert:";

/** The last alert of a project, for the silence after it. */
export interface AlertMark {
  readonly at: EpochMs;
  /** Errors up to this offset are reported. */
  readonly upToSeq: number;
}

export async function markOf(db: ReadDb | Trx, projectId: string): Promise<AlertMark | null> {
  const mark = await readSetting(db, MARK + projectId);
  return mark === undefined ? null : (JSON.parse(String(mark)) as AlertMark);
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
  await putSetting(trx, MARK + projectId, JSON.stringify(mark), mark.at);
}

/** A row of `events` that counts as an error: no alert pages for it. */
const IS_COUNTED = sql<boolean>`${IS_ERROR_ROW} and ${IS_OF_PRODUCER} and not ${IS_IN_ALERT}`;

/** Errors of all projects in a range of offsets, ascending. */
export function errorsBetween(scan: ReadDb, from: number, upTo: number, limit: number) {
  return scan
    .selectFrom("events")
    .select(["seq", "projectId", "receivedAt", "source"])
    .where("seq", ">=", from)
    .where("seq", "<=", upTo)
    .where(IS_COUNTED)
    .orderBy("seq")
    .limit(limit)
    .execute();
}

/** A range of errors of one project. */
export interface ErrorRange {
  readonly projectId: string;
  /** Offsets, exclusive and inclusive. */
  readonly after: number;
  readonly upTo: number;
  /** Errors received until this instant do not count. */
  readonly since: EpochMs;
  /** Only the newest ones count. */
  readonly limit: number;
  /** Sources whose errors do not count, because a silence matches them; null is none. */
  readonly silenced?: readonly (string | null)[];
}

function errorsIn(db: ReadDb, { projectId, after, upTo, since, limit, silenced = [] }: ErrorRange) {
  return db
    .selectFrom("events")
    .where("projectId", "=", projectId)
    .where("seq", ">", after)
    .where("seq", "<=", upTo)
    .where(IS_COUNTED)
    .where("receivedAt", ">", since)
    .where(sql<boolean>`not exists (select 1 from json_each(${JSON.stringify(silenced)}) where value is source)`)
    .orderBy("seq", "desc")
    .limit(limit);
}

/** Number and times of the errors in a range. */
export function countErrors(scan: ReadDb, range: ErrorRange) {
  return scan
    .selectFrom(errorsIn(scan, range).select(["seq", "receivedAt"]).as("e"))
    .select((e) => [
      e.fn.countAll<number>().as("count"),
      e.fn.min("receivedAt").as("firstAt"),
      e.fn.max("receivedAt").as("lastAt"),
      e.fn.max("seq").as("lastSeq"),
    ])
    .executeTakeFirstOrThrow();
}

/** The sources of the errors in a range, at most a thousand. */
export async function sourcesIn(scan: ReadDb, range: ErrorRange): Promise<(string | null)[]> {
  const errors = errorsIn(scan, range).select("source").as("e");
  const rows = await scan.selectFrom(errors).select("source").distinct().limit(1000).execute();
  return rows.map(({ source }) => source);
}

/** The first error of the range that came after an instant and that rules still have to decide; null: none. */
export async function firstUndecided(scan: ReadDb, range: ErrorRange, after: EpochMs): Promise<number | null> {
  const { seq } = await scan
    .selectFrom(errorsIn(scan, range).select(["seq", "processedAt", "receivedAt"]).as("e"))
    .select((e) => e.fn.min("seq").as("seq"))
    .where("processedAt", "is", null)
    .where("receivedAt", ">", after)
    .executeTakeFirstOrThrow();
  return seq;
}

/** Larger payloads are not read for a text about many errors. */
const MAX_PAYLOAD_BYTES = 32_768;

/** The newest errors of a range, ascending. */
export async function newestErrors(scan: ReadDb, range: ErrorRange, limit: number) {
  const rows = await errorsIn(scan, { ...range, limit: Math.min(limit, range.limit) })
    .select(["seq", "id", "type", "level", "source"])
    .select(
      sql<string>`case when octet_length(payload) <= ${MAX_PAYLOAD_BYTES} then payload else '{}' end`.as("payload"),
    )
    .execute();
  return rows.reverse();
}

/** The labels by which silences match errors of a source. */
export function burstLabels(project: string, source: string | null): Readonly<Record<string, string>> {
  return { alertname: "ErrorBurst", project, severity: "error", ...(source === null ? {} : { source }) };
}

export type ErrorWatchContext = Context<"runner" | "jobs" | "announcer" | "projects" | "users" | "notify" | "silences">;

const PAGE = 5000;
/** Limit of errors that wait until earlier ones are loaded. */
const MAX_HELD = 100_000;
/** Limit of projects in memory; those without an error for a while are removed. */
const MAX_PROJECTS = 10_000;
/** Instants in memory; a project's threshold may be a million. */
const MAX_INSTANTS = 2_000_000;
/** The built-in rule of errors in quick succession, as the counts know it. */
const RULE = "errors";
/**
 * After this time a job that should have sent an alert may be gone, for example cancelled. If it
 * still waits, its key covers the new one.
 */
const BUSY_MS = 300_000;

interface Window {
  readonly count: number;
  readonly windowMs: number;
}

interface NotedError {
  readonly projectId: string;
  readonly seq: number;
  readonly receivedAt: EpochMs;
}

/** Errors in quick succession: the threshold reached within the window. */
export interface RaisedBurst {
  /** The number of errors: the project's threshold. */
  readonly count: number;
  readonly lastAt: EpochMs;
  readonly lastSeq: number;
  /** It happened during a silence, which ends at `runAt`; then all its errors are reported. */
  readonly isFollowUp: boolean;
  readonly runAt: EpochMs;
}

/** Called with a burst; resolves when the alert's job is in the table. */
type Raise = (projectId: string, burst: RaisedBurst) => Promise<void>;

/**
 * The threshold of the built-in rule about errors, with the project as its key. It counts errors as
 * they are committed: checking level and type of an event has no measurable cost, and it leaves no
 * decision, which would double the cost of storing an error. Errors before the start are therefore
 * read once, in the scan thread.
 */
export class ErrorWatch {
  readonly #context: ErrorWatchContext;
  readonly #raise: Raise;
  readonly #thresholdOf;
  readonly #counts: MatchCounts;
  /** The newest error of each project. */
  readonly #newest = new Map<string, NotedError>();
  /** Errors up to this offset are reported and no longer count. */
  readonly #reported = new Map<string, number>();
  /** Time of each project's last alert, for the silence after it. */
  readonly #notifiedAt = new Map<string, EpochMs>();
  /** Projects whose alert is being sent, and since when. */
  readonly #busy = new Map<string, EpochMs>();
  /** Errors before the past was loaded; null since then. */
  #held: NotedError[] | null = [];
  #bursts = new Map<string, RaisedBurst>();
  #wakeUp = deferred<void>();

  constructor(context: ErrorWatchContext, raise: Raise) {
    this.#context = context;
    this.#raise = raise;
    this.#thresholdOf = context.reader.prepare<[string], { threshold: number | null }>(
      "select json_extract(settings, '$.alertThreshold') as threshold from projects where id = ?",
    );
    this.#counts = new MatchCounts((_rule, projectId, limit) => {
      const reported = this.#reported.get(projectId);
      // After an alert only the few errors that came while it was sent.
      return reported === undefined ? [] : this.#errorsSince(projectId, reported, limit);
    }, MAX_INSTANTS);
  }

  #errorsSince(projectId: string, after: number, limit: number): { at: EpochMs; isCounted: 1 }[] {
    const { db, reader } = this.#context;
    const upTo = this.#newest.get(projectId)?.seq ?? after;
    const range = { projectId, after, upTo, since: Number.MIN_SAFE_INTEGER, limit };
    const { sql: text, parameters } = errorsIn(db.read, range)
      .select(["receivedAt as at", sql<1>`1`.as("isCounted")])
      .compile();
    return reader.prepare<unknown[], { at: EpochMs; isCounted: 1 }>(text).all(...parameters);
  }

  /** Resolves when the errors before the start are counted; callers need not wait. */
  async start(): Promise<void> {
    const { announcer, reader, log } = this.#context;
    announcer.onEvents(this.#stored);
    void this.#work();
    const last = reader
      .prepare<[], { seq: number; receivedAt: number }>(
        "select seq, receivedAt from events where seq = (select max(seq) from events)",
      )
      .get();
    try {
      await this.#recall(last);
    } catch (error) {
      log.warn({ err: error }, "errors before this start do not count for alerts");
    }
    const held = this.#held ?? [];
    this.#held = null;
    this.#note(held);
  }

  readonly #stored = (events: readonly IncomingEvent[]): void => {
    let errors: IncomingEvent[] | null = null;
    for (const event of events) {
      if (!isErrorEvent(event) || event.isInAlert || isOwnEvent(event)) continue;
      errors ??= [];
      errors.push(event);
    }
    if (errors === null) return;
    if (this.#held === null) this.#note(errors);
    else if (this.#held.length < MAX_HELD) this.#held.push(...errors.map(factsOf));
  };

  /** The project was notified of errors up to an offset: only later ones count. */
  notified(projectId: string, at: EpochMs, upToSeq: number): void {
    this.#busy.delete(projectId);
    this.#notifiedAt.set(projectId, at);
    this.#reported.set(projectId, upToSeq);
    this.#counts.forgetKey(RULE, projectId);
    this.#look(projectId);
  }

  /** Fewer errors count than it seemed: those until an offset are forgotten. */
  recounted(projectId: string, upToSeq: number): void {
    this.#busy.delete(projectId);
    this.#reported.set(projectId, Math.max(upToSeq, this.#reported.get(projectId) ?? 0));
    this.#counts.forgetKey(RULE, projectId);
    this.#look(projectId);
  }

  /** The job did nothing: the next error may raise another alert. */
  released(projectId: string): void {
    this.#busy.delete(projectId);
  }

  #note(errors: readonly NotedError[]): void {
    const projects = new Map<string, Window>();
    for (const error of errors) {
      const { projectId, receivedAt, seq } = error;
      const window = projects.get(projectId) ?? this.#windowOf(projectId);
      projects.set(projectId, window);
      // Before it is the newest: the counts may have to be read first.
      this.#counts.add(RULE, projectId, window, receivedAt, seq);
      this.#newest.set(projectId, factsOf(error));
    }
    for (const projectId of projects.keys()) this.#look(projectId);
    if (this.#newest.size > MAX_PROJECTS) this.#forgetOld();
  }

  #windowOf(projectId: string): Window {
    const { errorThreshold, windowMs } = this.#context.settings.alert;
    return { count: this.#thresholdOf.get(projectId)?.threshold ?? errorThreshold, windowMs };
  }

  #forgetOld(): void {
    const { clock, settings } = this.#context;
    const now = clock.now();
    const { windowMs, cooldownMs } = settings.alert;
    for (const [id, { receivedAt }] of this.#newest) {
      const isRecent = receivedAt > now - windowMs || isSilent(now, this.#notifiedAt.get(id) ?? 0, cooldownMs);
      if (isRecent || this.#busy.has(id)) continue;
      this.#newest.delete(id);
      this.#reported.delete(id);
      this.#notifiedAt.delete(id);
      this.#counts.forgetKey(RULE, id);
    }
  }

  #look(projectId: string): void {
    const { clock, settings } = this.#context;
    const newest = this.#newest.get(projectId);
    if (!newest) return;
    const window = this.#windowOf(projectId);
    if (this.#counts.sum(RULE, projectId, window, newest.receivedAt) < window.count) return;
    const now = clock.now();
    const notifiedAt = this.#notifiedAt.get(projectId) ?? Number.NEGATIVE_INFINITY;
    const { cooldownMs } = settings.alert;
    const isFollowUp = isSilent(now, notifiedAt, cooldownMs);
    // Uses the distance: after the clock was set back, a lost job must not silence the project
    // until that time comes again.
    if (Math.abs(now - (this.#busy.get(projectId) ?? Number.NEGATIVE_INFINITY)) < BUSY_MS) return;
    this.#busy.set(projectId, now);
    this.#bursts.set(projectId, {
      count: window.count,
      lastAt: newest.receivedAt,
      lastSeq: newest.seq,
      isFollowUp,
      runAt: isFollowUp ? notifiedAt + cooldownMs : now,
    });
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
          this.#context.log.warn({ projectId, err: error }, "cannot queue an alert; the next error tries again");
        });
    }
  }

  /** Errors before the start that still count, and the current silences. */
  async #recall(last: { readonly seq: number; readonly receivedAt: number } | undefined): Promise<void> {
    const { db, clock, settings } = this.#context;
    const { windowMs } = settings.alert;
    const marks = await allMarks(db.read);
    for (const [projectId, { at }] of marks) this.#notifiedAt.set(projectId, at);
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
export function isSilent(now: EpochMs, notifiedAt: EpochMs, cooldownMs: number): boolean {
  return Math.abs(now - notifiedAt) < cooldownMs;
}

/** Keeping the event itself would keep its payload. */
function factsOf({ projectId, seq, receivedAt }: NotedError): NotedError {
  return { projectId, seq, receivedAt };
}
