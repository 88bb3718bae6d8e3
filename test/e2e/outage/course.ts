import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../../helpers/eventually.ts";
import type { Scope } from "../../helpers/scope.ts";
import { PrismBinary } from "../prism-binary.ts";
import { type Fault, type Now, statusOf } from "./receiver.ts";
import { callerOf, environmentOf, type Fired, fire, prepare, Targets } from "./site.ts";
import { allowedMs, ask, askAtEnd, falseClaims, resultOf, type WayResult } from "./verdict.ts";
import type { WayName } from "./ways.ts";

/* One outage of all targets of an executable, with a kill in between. */

export interface Course {
  readonly fault: Fault;
  readonly ways: readonly WayName[];
  readonly outageMs: number;
  /** Times of the alerts from the start of the outage; the second half follows the kill. */
  readonly beforeKillMs: readonly number[];
  readonly killAtMs: number;
  readonly afterKillMs: readonly number[];
  /** How much later than promised a page may come until it counts as lost. */
  readonly patienceMs: number;
}

export interface CourseResult {
  readonly ways: readonly WayResult[];
  /** Claims of delivery that no ledger confirms, shortly before the recovery and at the end. */
  readonly falseClaims: readonly string[];
}

export async function runCourse(scope: Scope, course: Course): Promise<CourseResult> {
  const { fault, outageMs } = course;
  const targets = await Targets.open(scope, Date.now, course.ways);
  const prism = new PrismBinary(scope, { env: environmentOf(targets.settings) });
  await prism.start();
  const server = callerOf(() => prism);
  await prepare(server, targets);
  const healthy = await fire(server, targets, "healthy", Date.now);
  await eventually(missing("healthy targets", targets, healthy), () => isAllThere(targets, healthy));

  for (const receiver of targets.receivers) await receiver.fail(fault);
  const startedAt = Date.now();
  const until = (ms: number): Promise<void> => sleep(Math.max(0, startedAt + ms - Date.now()));
  const fired: Fired[] = [];
  const fireAt = async (ms: number): Promise<void> => {
    await until(ms);
    fired.push(...(await fire(server, targets, String(fired.length), Date.now)));
  };
  for (const ms of course.beforeKillMs) await fireAt(ms);
  await until(course.killAtMs);
  await prism.kill();
  await prism.start();
  for (const ms of course.afterKillMs) await fireAt(ms);
  await until(outageMs);
  const claims = falseClaims(targets, await ask(server), fired);

  const recoveredAt = statusOf(fault) === 410 ? null : await recover(targets, Date.now);
  if (recoveredAt !== null) await wait(targets, fired, recoveredAt, course.patienceMs);
  const said = await askAtEnd(server);
  return {
    ways: targets.ways.map((way) => resultOf(targets, way, fired, { said, recoveredAt })),
    falseClaims: [...claims, ...falseClaims(targets, said, [...healthy, ...fired])],
  };
}

/** @returns when they were all well again. */
export async function recover({ receivers }: Targets, now: Now): Promise<number> {
  for (const receiver of receivers) await receiver.recover();
  return now();
}

/** Until all pages are there, or the last one is as late as counts as lost. */
async function wait(targets: Targets, fired: readonly Fired[], recoveredAt: number, patienceMs: number): Promise<void> {
  const latestMs = Math.max(...targets.ways.map((way) => allowedMs(way, recoveredAt)));
  await eventually("all pages", () => isAllThere(targets, fired), latestMs + patienceMs).catch(() => undefined);
}

export function isAllThere(targets: Targets, fired: readonly Fired[]): boolean {
  return fired.every((each) => isThere(targets, each));
}

function isThere({ ways }: Targets, { way, name }: Fired): boolean {
  const ledger = ways.find((each) => each.name === way)?.receiver.ledger;
  return ledger?.accepted.some(({ text }) => text.includes(name)) ?? false;
}

export function missing(what: string, targets: Targets, fired: readonly Fired[]): () => string {
  return () => {
    const names = fired.filter((each) => !isThere(targets, each)).map(({ name }) => name);
    return `${what}: ${names.join(", ")} did not arrive`;
  };
}
