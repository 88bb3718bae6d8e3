import type { PermissionHolder } from "../../../core/caller.ts";
import { invalidField } from "../../../core/errors.ts";
import type { Permission } from "../../../core/permissions.ts";
import { LEVELS } from "../../../core/text/vocabulary.ts";
import { HOUR_MS, toRfc3339 } from "../../../core/time/clock.ts";
import { hasTokenScope } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import type { ReadDb } from "../../../store/database.ts";
import { openByChannel } from "../../delivery/index.ts";
import type { JobCount } from "../../time/jobs/index.ts";
import * as queries from "./queries.ts";
import { MAX_POINTS, type StatsQuery, type StatsView } from "./schema.ts";
import {
  bucketsOf,
  type Cell,
  type Counted,
  countCells,
  type Period,
  pointsOf,
  type Sample,
  type Series,
  sampledOf,
  scaled,
  seriesByName,
  seriesOf,
  sumsOf,
  WHOLE,
} from "./series.ts";

export interface StatsParts extends Uses<"db" | "clock" | "projects"> {
  countJobs(): Promise<readonly JobCount[]>;
}

const DEFAULT_POINTS = 120;
/** In seconds. */
const STEPS = [1, 5, 10, 30, 60, 300, 600, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000];
/** An answer is shared by callers who ask for the same within this time. */
const SHARED_MS = 1000;
const MAX_SHARED = 200;
/** Projects for which errors are counted by index; of more, errors are estimated. */
const MAX_PROJECTS = 200;

/**
 * Figures over time, derived from the stored rows: nothing is counted when an event is stored. All
 * reads run in the scan thread.
 */
export class Stats {
  readonly #parts: StatsParts;
  readonly #shared = new Map<string, { readonly at: number; readonly result: Promise<unknown> }>();

  constructor(parts: StatsParts) {
    this.#parts = parts;
  }

  /** @throws VALIDATION_FAILED, PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE */
  async read(principal: PermissionHolder, query: StatsQuery): Promise<StatsView> {
    const { clock, projects } = this.#parts;
    const period = periodOf(query, clock.now());
    const projectId =
      query.projectId === undefined ? null : projects.require(principal, query.projectId, "events:read");
    const isAsked = (part: NonNullable<StatsQuery["parts"]>[number]): boolean => query.parts?.includes(part) ?? true;
    const mayRead = (permission: Permission): boolean => projectId === null && principal.permissions.has(permission);
    const [events, notifications, deliveries, jobs] = await Promise.all([
      isAsked("events") ? this.#events(principal, projectId, period) : null,
      isAsked("notifications") ? this.#notifications(principal, projectId, period) : null,
      isAsked("deliveries") && mayRead("system:status") ? this.#deliveries(period) : null,
      isAsked("jobs") && mayRead("jobs:read") ? this.#jobs(period) : null,
    ]);
    const { from, to, stepMs } = period;
    return {
      from: toRfc3339(from),
      to: toRfc3339(to),
      stepMs,
      points: pointsOf(period),
      events,
      notifications,
      deliveries,
      jobs,
    };
  }

  async #events(principal: PermissionHolder, projectId: string | null, period: Period): Promise<StatsView["events"]> {
    const { db, projects } = this.#parts;
    const readable = projectId === null ? projects.readable(principal, "events:read") : [projectId];
    if (readable?.length === 0) return null;
    return this.#share(["events", readable, period], async () => {
      const names = readable ?? (await queries.projectIds(db.scan));
      const count = (each: Period) => countEvents(db.scan, { readable, names }, each);
      const [current, previous] = [await count(period), await count(before(period))];
      return withTotal(sectionOf(LEVELS, period, current, previous));
    });
  }

  async #notifications(
    principal: PermissionHolder,
    projectId: string | null,
    period: Period,
  ): Promise<StatsView["notifications"]> {
    const { clock, db } = this.#parts;
    const { scan } = db;
    const { userId, permissions } = principal;
    if (permissions.has("notifications:read_all")) {
      const source = queries.notificationSource(scan, projectId, clock.now());
      return this.#share(["notifications", projectId, period], async () => ({
        ...(await section(NOTIFICATION_STATES, period, (each) => countCells(source, each))),
        scope: "all" as const,
      }));
    }
    if (userId === null || !hasTokenScope(principal, ["notifications:own"])) return null;
    const own = async (each: Period): Promise<Counted> => ({
      cells: (await queries.ownNotifications(scan, userId, projectId, each)).cells,
      isEstimated: false,
    });
    return this.#share(["own", userId, projectId, period], async () => ({
      ...(await section(NOTIFICATION_STATES, period, own)),
      scope: "own" as const,
    }));
  }

  #deliveries(period: Period): Promise<StatsView["deliveries"]> {
    const { scan } = this.#parts.db;
    return this.#share(["deliveries", period], async () => {
      const source = queries.deliverySource(scan);
      const count = async (each: Period): Promise<Counted> => {
        const { cells, isEstimated } = await countCells(source, each);
        return { cells: cells.map((cell) => ({ ...cell, state: SHOWN_AS[cell.state] ?? cell.state })), isEstimated };
      };
      const [current, previous] = [await count(period), await count(before(period))];
      const channels = Object.fromEntries(await openByChannel(scan));
      const waiting = Object.values(channels).reduce((sum, n) => sum + n, 0);
      return {
        ...sectionOf(DELIVERY_STATES, period, current, previous),
        channels: seriesByName(current.cells, DELIVERY_STATES, pointsOf(period)),
        now: { waiting, channels },
      };
    });
  }

  #jobs(period: Period): Promise<StatsView["jobs"]> {
    const { db, countJobs } = this.#parts;
    return this.#share(["jobs", period], async () => {
      const source = queries.jobSource(db.scan);
      const [current, previous] = [await countCells(source, period), await countCells(source, before(period))];
      const now: Record<string, number> = { ready: 0, scheduled: 0, retrying: 0, running: 0, dead: 0 };
      for (const { state, n } of await countJobs()) now[state] = (now[state] ?? 0) + n;
      return {
        ...sectionOf(JOB_STATES, period, current, previous),
        queues: seriesByName(current.cells, JOB_STATES, pointsOf(period)),
        now,
      };
    });
  }

  /** The running or recent reading of the same figures, so that many open pages cost one. */
  #share<T>(key: unknown, read: () => Promise<T>): Promise<T> {
    const text = JSON.stringify(key);
    const now = this.#parts.clock.elapsed();
    const known = this.#shared.get(text);
    if (known && now - known.at < SHARED_MS) return known.result as Promise<T>;
    const result = read();
    this.#shared.delete(text);
    this.#shared.set(text, { at: now, result });
    result.catch(() => this.#shared.delete(text));
    const [oldest] = this.#shared.keys();
    if (this.#shared.size > MAX_SHARED && oldest !== undefined) this.#shared.delete(oldest);
    return result;
  }
}

const NOTIFICATION_STATES = ["sent", "seen", "acknowledged"];
const DELIVERY_STATES = ["delivered", "waiting", "failed", "skipped"];
const JOB_STATES = ["succeeded", "dead", "cancelled"];
/** A failed delivery is retried; a dead one is not. */
const SHOWN_AS: Readonly<Record<string, string>> = {
  queued: "waiting",
  sending: "waiting",
  failed: "waiting",
  dead: "failed",
};

/** @throws VALIDATION_FAILED */
function periodOf({ from, to, stepMs }: StatsQuery, now: number): Period {
  // A whole second, so that callers who ask at the same time share the reading.
  const end = to ?? Math.ceil(now / SHARED_MS) * SHARED_MS;
  const start = from ?? end - HOUR_MS;
  if (start >= end) throw invalidField("query", "from", "must lie before to");
  const step = stepMs ?? defaultStep(end - start);
  const period = { from: Math.floor(start / step) * step, to: end, stepMs: step };
  if (pointsOf(period) > MAX_POINTS + 1) throw invalidField("query", "stepMs", `gives more than ${MAX_POINTS} points`);
  return period;
}

function defaultStep(lengthMs: number): number {
  const seconds = STEPS.find((each) => lengthMs / (each * 1000) <= DEFAULT_POINTS);
  return seconds === undefined ? Math.ceil(lengthMs / DEFAULT_POINTS / 1000) * 1000 : seconds * 1000;
}

/** The period of the same length before, as one bucket. */
function before({ from, to }: Period): Period {
  return { from: from - (to - from), to: from, stepMs: to - from };
}

async function section(states: readonly string[], period: Period, count: (period: Period) => Promise<Counted>) {
  const [current, previous] = [await count(period), await count(before(period))];
  return sectionOf(states, period, current, previous);
}

function sectionOf(states: readonly string[], period: Period, current: Counted, previous: Counted) {
  const series = seriesOf(current.cells, states, pointsOf(period));
  return {
    series,
    totals: sumsOf(series),
    previous: sumsOf(seriesOf(previous.cells, states, 1)),
    estimated: current.isEstimated || previous.isEstimated,
  };
}

/** Adds the sum of all levels. */
function withTotal(levels: ReturnType<typeof sectionOf>): ReturnType<typeof sectionOf> {
  const total = (series: Series): number[] =>
    (series["info"] ?? []).map((_, at) => Object.values(series).reduce((sum, numbers) => sum + (numbers[at] ?? 0), 0));
  const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((all, n) => all + n, 0);
  return {
    ...levels,
    series: { total: total(levels.series), ...levels.series },
    totals: { total: sum(levels.totals), ...levels.totals },
    previous: { total: sum(levels.previous), ...levels.previous },
  };
}

interface EventScope {
  /** Null: all projects. */
  readonly readable: readonly string[] | null;
  readonly names: readonly string[];
}

/**
 * Events are numbered in the order of receipt, so that a bucket is a range of numbers: its events
 * are counted by two look-ups, or by the index of a project, and its errors by theirs. Other levels
 * of a large bucket are those of its first events.
 */
async function countEvents(db: ReadDb, { readable, names }: EventScope, period: Period): Promise<Counted> {
  const buckets = bucketsOf(period);
  const edges = await queries.seqsAt(db, [...buckets.map(({ from }) => from), period.to]);
  const [first, end] = [edges[0] ?? 0, edges.at(-1) ?? 0];
  // Of all projects the number is known without a read.
  const whole =
    readable === null && end - first > WHOLE
      ? null
      : await queries.eventLevels(db, readable, [first, end], period, WHOLE + 1);
  if (whole !== null && whole.rows <= WHOLE) return { cells: whole.cells, isEstimated: false };
  const cells: Cell[] = [];
  let isEstimated = false;
  const sampled = sampledOf(buckets.length);
  for (const [bucket, part] of buckets.entries()) {
    const range = [edges[bucket] ?? 0, edges[bucket + 1] ?? 0] as const;
    if (range[0] >= range[1]) continue;
    const sample = await queries.eventLevels(db, readable, range, part, sampled);
    const total = sample.rows < sampled ? sample.rows : await queries.countEvents(db, readable, ...range);
    isEstimated ||= total > sample.rows;
    const isKnown = total > sample.rows && names.length <= MAX_PROJECTS;
    const errors = isKnown ? await queries.countErrors(db, names, ...range) : null;
    const counted = errors === null ? scaled(sample, total) : scaledWithErrors(sample, total, errors);
    cells.push(...counted.map((cell) => ({ ...cell, bucket })));
  }
  return { cells, isEstimated };
}

const ERRORS: readonly string[] = ["error", "fatal"];

/** The number of errors is exact. */
function scaledWithErrors(sample: Sample, total: number, errors: number): Cell[] {
  const part = (isError: boolean): Sample => {
    const cells = sample.cells.filter(({ state }) => ERRORS.includes(state) === isError);
    return { cells, rows: cells.reduce((sum, { n }) => sum + n, 0) };
  };
  const [bad, good] = [part(true), part(false)];
  const unseen = bad.rows === 0 && errors > 0 ? [{ bucket: 0, name: "", state: "error", n: errors }] : [];
  return [...scaled(good, total - errors), ...scaled(bad, errors), ...unseen];
}
