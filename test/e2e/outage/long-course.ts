import { FakeClock } from "../../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import type { Scope } from "../../helpers/scope.ts";
import { type CourseResult, isAllThere, recover } from "./course.ts";
import { type Fault, statusOf } from "./receiver.ts";
import { callerOf, type Fired, fire, prepare, Targets } from "./site.ts";
import { allowedMs, ask, askAtEnd, falseClaims, resultOf } from "./verdict.ts";
import type { WayName } from "./ways.ts";

/* One outage of hours, of a server in this process on a clock in hand, which is restarted in between. */

export interface LongCourse {
  readonly fault: Fault;
  readonly ways: readonly WayName[];
  readonly outageMs: number;
  /** Time passes in this many steps; each lets the server do what has become due. */
  readonly steps: number;
  /** Steps of this length after the recovery, for a minute. */
  readonly recoveryStepMs: number;
}

const MINUTE_MS = 60_000;
const DOWN_MS = 5 * MINUTE_MS;
const TWO_DAYS_MS = 172_800_000;

export async function runLongCourse(scope: Scope, course: LongCourse): Promise<CourseResult> {
  const { fault, outageMs, steps, recoveryStepMs } = course;
  const clock = new FakeClock();
  const now = (): number => clock.now();
  const targets = await Targets.open(scope, now, course.ways);
  const settings = { ...targets.settings, "auth.accessExpires": String(TWO_DAYS_MS) };
  const prism = await startPrism(scope, { clock, settings });
  const server = callerOf(() => ({ url: prism.url, token: prism.adminToken }));
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settle(prism);
  };
  await prepare(server, targets);
  for (const receiver of targets.receivers) await receiver.fail(fault);
  const fired: Fired[] = [];
  const fireNow = async (): Promise<void> => {
    fired.push(...(await fire(server, targets, String(fired.length), now)));
    await settle(prism);
  };
  for (let step = 0; step < steps; step++) {
    if (step === 0 || step === steps - 1) await fireNow();
    if (step === Math.floor(steps / 2)) await prism.restart(() => clock.advance(DOWN_MS));
    await pass(outageMs / steps);
  }
  const claims = falseClaims(targets, await ask(server), fired);

  const recoveredAt = statusOf(fault) === 410 ? null : await recover(targets, now);
  if (recoveredAt !== null) {
    const allowed = targets.ways.map((way) => recoveredAt + allowedMs(way, recoveredAt));
    while (!isAllThere(targets, fired) && now() <= Math.max(...allowed)) {
      // After a minute the only times that matter are those that targets have named.
      const next = now() < recoveredAt + MINUTE_MS ? now() : Math.min(...allowed.filter((at) => at > now()));
      await pass(next - now() + recoveryStepMs);
    }
  }
  const said = await askAtEnd(server);
  return {
    ways: targets.ways.map((way) => resultOf(targets, way, fired, { said, recoveredAt })),
    falseClaims: [...claims, ...falseClaims(targets, said, fired)],
  };
}

/** Until nothing is due, and no call runs. */
async function settle(prism: TestPrism): Promise<void> {
  const { pages, incidents } = prism.parts.offers;
  await incidents.check();
  prism.parts.offers.runner.enqueued([]);
  await pages.check();
  await pages.idle();
}
