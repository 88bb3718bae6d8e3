import { type Course, type CourseResult, runCourse } from "../../../test/e2e/outage/course.ts";
import { type LongCourse, runLongCourse } from "../../../test/e2e/outage/long-course.ts";
import { type Fault, statusOf } from "../../../test/e2e/outage/receiver.ts";
import type { WayResult } from "../../../test/e2e/outage/verdict.ts";
import { WAY_NAMES } from "../../../test/e2e/outage/ways.ts";
import { withScope } from "../../../test/helpers/scope.ts";
import type { Row } from "../report.ts";

/* All faults side by side, each on a server of its own with a target of each way. */

const SECOND = 1000;
const HOUR = 3_600_000;

function faultsOf(retryAfterMs: number): readonly (readonly [string, Fault])[] {
  return [
    ["refused", "refused"],
    ["hanging", "hanging"],
    ["500", { status: 500 }],
    ["429", { status: 429 }],
    ["429, seconds", { status: 429, retryAfter: { as: "seconds", ms: retryAfterMs } }],
    ["429, date", { status: 429, retryAfter: { as: "date", ms: retryAfterMs } }],
    ["410", { status: 410 }],
  ];
}

const SHORT = {
  outageMs: 40 * SECOND,
  beforeKillMs: [0, 8 * SECOND],
  killAtMs: 20 * SECOND,
  afterKillMs: [22 * SECOND],
};
const LONG = {
  outageMs: 420 * SECOND,
  beforeKillMs: [0, 120 * SECOND],
  killAtMs: 200 * SECOND,
  afterKillMs: [300 * SECOND],
};

/** A page that leaves at the last moment also needs to arrive, and to have waited behind the probe. */
const SLACK_MS = 2 * SECOND;
/** Promised for the next contact rule after a final refusal. */
const NEXT_WAY_MS = SECOND;

/** Hanging calls take real time. */
const isHanging = ({ fault }: { readonly fault: Fault }): boolean => fault === "hanging";

/** On the executable, side by side; beside them the long ones in which targets hang. */
export async function measureOutages(): Promise<Row[]> {
  const courses = [
    ...faultsOf(10 * SECOND).map(([name, fault]) => ({ name: `40 s ${name}`, fault, ...SHORT })),
    ...faultsOf(60 * SECOND).map(([name, fault]) => ({ name: `7 min ${name}`, fault, ...LONG })),
  ];
  const short = courses.map(async ({ name, ...course }) => {
    const given: Course = { ...course, ways: WAY_NAMES, patienceMs: 30 * SECOND };
    return rowOf(name, course.fault, await withScope((scope) => runCourse(scope, given)));
  });
  const hanging = longCourses().filter(isHanging).map(measureLong);
  return Promise.all([...short, ...hanging]);
}

/** In this process, on a clock in hand. */
export async function measureLongOutages(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const course of longCourses().filter((each) => !isHanging(each))) rows.push(await measureLong(course));
  return rows;
}

type NamedLongCourse = LongCourse & { readonly name: string };

function longCourses(): NamedLongCourse[] {
  const courses = (hours: number, steps: number, retryAfterMs: number): NamedLongCourse[] =>
    faultsOf(retryAfterMs).map(([name, fault]) => ({
      ...{ name: `${hours} h ${name}`, fault, ways: WAY_NAMES, outageMs: hours * HOUR },
      ...{ steps: fault === "hanging" ? 2 : steps, recoveryStepMs: SECOND },
    }));
  return [...courses(2, 60, HOUR / 6), ...courses(20, 60, 2 * HOUR)];
}

async function measureLong({ name, ...course }: NamedLongCourse): Promise<Row> {
  return rowOf(name, course.fault, await withScope((scope) => runLongCourse(scope, course)));
}

function rowOf(name: string, fault: Fault, { ways, falseClaims }: CourseResult): Row {
  const isFinal = statusOf(fault) === 410;
  const slowest = ways.reduce((worst, way) => (overdueMs(way) > overdueMs(worst) ? way : worst));
  const lost = isFinal ? [] : ways.flatMap((way) => way.lost);
  const nextWaysMs = ways.filter(({ isPerson }) => isPerson).map((way) => way.nextWayMs ?? 0);
  const isKept = isFinal
    ? ways.every((way) => isFailed(way) && isNextWayTried(way))
    : lost.length === 0 && ways.every((way) => overdueMs(way) <= SLACK_MS);
  for (const text of [...lost, ...falseClaims]) console.log(`${name}: ${text}`);
  return {
    outage: name,
    pages: ways.reduce((sum, way) => sum + way.pages, 0),
    lost: lost.length,
    "false claims": falseClaims.length,
    repeated: ways.reduce((sum, way) => sum + way.repeated, 0),
    "slowest way": isFinal ? "" : slowest.way,
    "first after s": isFinal ? "" : seconds(slowest.firstMs),
    "of s": isFinal ? "" : seconds(slowest.allowedMs),
    "all after s": isFinal ? "" : seconds(Math.max(...ways.map((way) => way.lastMs ?? 0))),
    "next way s": isFinal ? seconds(Math.max(...nextWaysMs)) : "",
    kept: isKept && falseClaims.length === 0 ? "yes" : "no",
  };
}

/** How much later than promised the first waiting page came. */
function overdueMs({ firstMs, allowedMs }: WayResult): number {
  return firstMs === null ? Number.NEGATIVE_INFINITY : firstMs - allowedMs;
}

/** Its pages failed; once a target is gone for good, there may be none. */
function isFailed({ outcomes }: WayResult): boolean {
  return Object.keys(outcomes).join() === "failed";
}

function isNextWayTried({ isPerson, nextWayMs }: WayResult): boolean {
  return !isPerson || (nextWayMs !== null && nextWayMs <= NEXT_WAY_MS);
}

function seconds(ms: number | null): string {
  return ms === null ? "" : (ms / SECOND).toFixed(1);
}
