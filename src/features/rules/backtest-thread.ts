import { parentPort } from "node:worker_threads";
import type { Database as Sqlite } from "better-sqlite3";
import { yieldToOthers } from "../../core/runtime.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import type { EventsTable } from "../../store/schema.ts";
import { openForReading } from "../../store/sqlite/connection.ts";
import type {
  BacktestChange,
  BacktestCounts,
  BacktestMessage,
  BacktestOutcome,
  BacktestPlan,
  BacktestProgress,
  BacktestSample,
  BacktestSeries,
  BacktestThreadData,
} from "./backtest.ts";
import { type IncomingEvent, storedEvent } from "./deciding/incoming-event.ts";
import { COUNTED_AS } from "./deciding/rule-stats.ts";
import { Replay, type ReplayOutcome } from "./over-time/replay.ts";

const PROGRESS_EVERY_MS = 200;

/**
 * Main function of the backtest thread: decides stored events again on a read-only connection. The
 * starting thread ends it.
 */
export function runBacktestThread({ file, plan }: BacktestThreadData): void {
  const port = parentPort;
  if (!port) throw new TypeError("backtests run in a thread of their own");
  yieldToOthers();
  const post = (message: BacktestMessage): void => port.postMessage(message);
  const connection = openForReading(file);
  try {
    const outcome = backtest(new EventPages(connection, plan.projectId), plan, (progress) =>
      post({ kind: "progress", progress }),
    );
    post({ kind: "outcome", outcome });
  } catch (error) {
    post({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  } finally {
    connection.close();
  }
}

function backtest(
  events: EventPages,
  plan: BacktestPlan,
  onProgress: (progress: BacktestProgress) => void,
): BacktestOutcome {
  const { from, to, rule, stored } = plan;
  const defaults = plan.defaults && { ...plan.defaults, mode: "suppress" as const, key: null };
  const tried = new Replay(rule, () => defaults);
  const inForce = stored && new Replay(stored, () => defaults);
  // Earlier events can affect the first ones: they are replayed and not counted.
  const memoryMs = Math.max(tried.memoryMs, inForce?.memoryMs ?? 0);
  const beginning = from === null ? null : from - memoryMs;
  const range = events.range(beginning);
  const total = events.count(range);
  const tally = new Tally(plan, inForce !== null);
  let seen = 0;
  let postedAt = Number.NEGATIVE_INFINITY;
  for (const page of events.pages(range, to)) {
    if (performance.now() - postedAt >= PROGRESS_EVERY_MS) {
      postedAt = performance.now();
      onProgress({ scanned: seen, total });
    }
    for (const row of page) {
      seen++;
      if ((beginning !== null && row.receivedAt < beginning) || row.receivedAt >= to) continue;
      const event = storedEvent(row);
      const outcome = tried.decide(event);
      const before = inForce?.decide(event) ?? null;
      if (from === null || row.receivedAt >= from) tally.add(event, outcome, before, () => tried.title(event));
    }
    tried.forgetRows();
    inForce?.forgetRows();
  }
  onProgress({ scanned: seen, total: Math.max(total, seen) });
  return { ...tally.outcome(), alerts: tried.alertsUntil(Math.min(to, plan.now), from) };
}

/** Lengths of buckets in seconds; each divides the next one. */
const STEPS = [1, 10, 60, 600, 3600, 21_600, 86_400, 604_800, 2_419_200, 38_707_200];
const MAX_POINTS = 200;

type Bucket = { matched: number; fired: number; firedBefore: number };

/** Numbers per bucket. The buckets grow with the time between the first and the last event. */
class Histogram {
  #step = 0;
  #buckets = new Map<number, Bucket>();
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;

  /** Makes a bucket part of the result. */
  add(at: EpochMs): Bucket {
    this.#first = Math.min(this.#first, at);
    this.#last = Math.max(this.#last, at);
    while (this.#indexOf(this.#last) - this.#indexOf(this.#first) >= MAX_POINTS && this.#step < STEPS.length - 1)
      this.#grow();
    return this.#bucket(this.#indexOf(at));
  }

  series(): BacktestSeries {
    const stepMs = this.#stepMs;
    const start = this.#indexOf(this.#first);
    const length = this.#buckets.size === 0 ? 0 : Math.min(MAX_POINTS, this.#indexOf(this.#last) - start + 1);
    const numbers = (name: keyof Bucket): number[] =>
      Array.from({ length }, (_, n) => this.#buckets.get(start + n)?.[name] ?? 0);
    return {
      from: length === 0 ? null : start * stepMs,
      stepMs,
      matched: numbers("matched"),
      fired: numbers("fired"),
      firedBefore: numbers("firedBefore"),
    };
  }

  get #stepMs(): number {
    return (STEPS[this.#step] ?? 1) * 1000;
  }

  #indexOf(at: EpochMs): number {
    return Math.floor(at / this.#stepMs);
  }

  #grow(): void {
    const old = this.#stepMs;
    this.#step++;
    const buckets = this.#buckets;
    this.#buckets = new Map();
    for (const [index, { matched, fired, firedBefore }] of buckets) {
      const bucket = this.#bucket(this.#indexOf(index * old));
      bucket.matched += matched;
      bucket.fired += fired;
      bucket.firedBefore += firedBefore;
    }
  }

  #bucket(index: number): Bucket {
    const bucket = this.#buckets.get(index) ?? { matched: 0, fired: 0, firedBefore: 0 };
    this.#buckets.set(index, bucket);
    return bucket;
  }
}

type Counts = { -readonly [K in keyof BacktestCounts]: number };

class Tally {
  readonly #samples: BacktestSample[] = [];
  readonly #sampleCount: number;
  readonly #changes: BacktestChange[] = [];
  readonly #changeCount: number;
  readonly #histogram = new Histogram();
  readonly #days = new Map<string, Counts>();
  readonly #total = noMatches();
  readonly #diff: { added: number; removed: number } | null;
  #scanned = 0;
  #errors = 0;
  #firstAt: EpochMs | null = null;
  #lastAt: EpochMs | null = null;

  /** @param withDiff whether events are compared with a stored version. */
  constructor({ from, samples, changes }: BacktestPlan, withDiff: boolean) {
    this.#sampleCount = samples;
    this.#changeCount = changes;
    if (from !== null) this.#histogram.add(from);
    this.#diff = withDiff ? { added: 0, removed: 0 } : null;
  }

  /** @param titleOf is called for samples and changes only. */
  add(event: IncomingEvent, outcome: ReplayOutcome, stored: ReplayOutcome, titleOf: () => string | null): void {
    this.#scanned++;
    this.#firstAt ??= event.receivedAt;
    this.#lastAt = event.receivedAt;
    const bucket = this.#histogram.add(event.receivedAt);
    if (stored === "fired") bucket.firedBefore++;
    if (outcome !== null && outcome !== "error" && outcome !== "alert-resolved") bucket.matched++;
    if (outcome === "fired") bucket.fired++;
    if ((outcome === "fired") !== (stored === "fired")) this.#addChange(event, outcome, stored, titleOf);
    if (outcome === "error") this.#errors++;
    if (outcome === null || outcome === "error") return;
    for (const counts of [this.#total, this.#dayOf(event.receivedAt)]) {
      if (outcome !== "alert-resolved") counts.matched++;
      counts[COUNTED_AS[outcome]]++;
    }
    if (outcome !== "fired" || this.#samples.length >= this.#sampleCount) return;
    const { id: eventId, seq, type, receivedAt } = event;
    this.#samples.push({ eventId, seq, type, receivedAt, title: titleOf() });
  }

  outcome(): Omit<BacktestOutcome, "alerts"> {
    const days = [...this.#days].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      scanned: this.#scanned,
      ...this.#total,
      errors: this.#errors,
      firstAt: this.#firstAt,
      lastAt: this.#lastAt,
      perDay: days.map(([day, counts]) => ({ day, ...counts })),
      series: this.#histogram.series(),
      samples: this.#samples,
      changes: this.#changes,
      diff: this.#diff,
    };
  }

  #addChange(event: IncomingEvent, after: ReplayOutcome, before: ReplayOutcome, titleOf: () => string | null): void {
    if (!this.#diff) return;
    const change = after === "fired" ? "added" : "removed";
    if (++this.#diff[change] > this.#changeCount) return;
    const { id: eventId, seq, type, receivedAt } = event;
    this.#changes.push({ change, eventId, seq, type, receivedAt, title: titleOf(), before, after });
  }

  #dayOf(at: EpochMs): Counts {
    const name = new Date(at).toISOString().slice(0, 10);
    const day = this.#days.get(name) ?? noMatches();
    this.#days.set(name, day);
    return day;
  }
}

function noMatches(): Counts {
  return {
    ...{ matched: 0, fired: 0, suppressed: 0, deduped: 0, cooled: 0 },
    ...{ counted: 0, alertsOpened: 0, alertsResolved: 0 },
  };
}

const PAGE_EVENTS = 500;
const PAGE_BYTES = 4_194_304;
/** Largest backward step of the clock that loses no events at the edges of a time range. */
const CLOCK_STEP_MS = 3_600_000;

/** A project's events by number. Each page is a short read, so that the WAL can restart. */
class EventPages {
  readonly #projectId: string;
  readonly #page;
  readonly #next;
  readonly #last;
  readonly #count;

  constructor(connection: Sqlite, projectId: string) {
    this.#projectId = projectId;
    this.#page = connection.prepare<[string, number, number], EventsTable>(
      "select * from events where projectId = ? and seq > ? and seq <= ? order by seq",
    );
    this.#next = connection.prepare<[string, number], { seq: number; receivedAt: EpochMs }>(
      "select seq, receivedAt from events where projectId = ? and seq >= ? order by seq limit 1",
    );
    this.#last = connection.prepare<[string], { seq: number }>(
      "select seq from events where projectId = ? order by seq desc limit 1",
    );
    this.#count = connection
      .prepare<[string, number, number], number>(
        "select count(*) from events where projectId = ? and seq between ? and ?",
      )
      .pluck();
  }

  /** The first number that can belong to an instant, and the last stored one. */
  range(from: EpochMs | null): { first: number; last: number } {
    const last = this.#last.get(this.#projectId)?.seq ?? 0;
    return { first: from === null ? 0 : this.#firstAt(from - CLOCK_STEP_MS, last), last };
  }

  /** Number of events in a range, whatever their age. */
  count({ first, last }: { first: number; last: number }): number {
    return this.#count.get(this.#projectId, first, last) ?? 0;
  }

  /** Pages until the events are clearly later than `to`. */
  *pages({ first, last }: { first: number; last: number }, to: EpochMs): Iterable<readonly EventsTable[]> {
    for (let after = first - 1; ; ) {
      const page = this.#read(after, last);
      const end = page.at(-1);
      if (!end) return;
      yield page;
      if (end.receivedAt >= to + CLOCK_STEP_MS) return;
      after = end.seq;
    }
  }

  #read(after: number, last: number): EventsTable[] {
    const page: EventsTable[] = [];
    let bytes = 0;
    for (const row of this.#page.iterate(this.#projectId, after, last)) {
      page.push(row);
      bytes += row.payload.length;
      if (page.length === PAGE_EVENTS || bytes > PAGE_BYTES) break;
    }
    return page;
  }

  /** Numbers increase with time, unless the clock was set: binary search. */
  #firstAt(at: EpochMs, last: number): number {
    let low = 0;
    let high = last;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const event = this.#next.get(this.#projectId, middle);
      if (event === undefined || event.receivedAt >= at) high = middle;
      else low = event.seq + 1;
    }
    return low;
  }
}
