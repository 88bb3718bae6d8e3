import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { type Scope, withScope } from "../helpers/scope.ts";
import { type CourseResult, isAllThere, missing, runCourse } from "./outage/course.ts";
import { busyChannel, hangingTargets } from "./outage/loads.ts";
import { runLongCourse } from "./outage/long-course.ts";
import { type Fault, statusOf } from "./outage/receiver.ts";
import { callerOf, environmentOf, fire, prepare, Targets } from "./outage/site.ts";
import { ask, falseClaims, type Notice } from "./outage/verdict.ts";
import { WAY_NAMES, type WayName } from "./outage/ways.ts";
import { PrismBinary } from "./prism-binary.ts";

/* `npm run bench -- outage` is the long form. */

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
/** A busy machine is slow: what counts is what comes, and that it does not wait for another time. */
const SLACK_MS = 30_000;
/** Promised for the next contact rule after a final refusal. */
const NEXT_WAY_MS = SECOND;
/** Faults side by side, a server for each. */
const TOGETHER = { concurrency: true } as const;

const FAULTS: readonly { readonly name: string; readonly fault: Fault }[] = [
  { name: "refusing connections", fault: "refused" },
  { name: "hanging", fault: "hanging" },
  { name: "answering 500", fault: { status: 500 } },
  { name: "answering 429 with Retry-After", fault: { status: 429, retryAfter: { as: "seconds", ms: 3 * SECOND } } },
  { name: "answering 410", fault: { status: 410 } },
];

test("targets fail, the executable is killed, the targets recover: every page arrives", TOGETHER, async (t) => {
  const times = { outageMs: 6 * SECOND, beforeKillMs: [0], killAtMs: 2 * SECOND, afterKillMs: [2 * SECOND] };
  const courses = FAULTS.map(({ name, fault }) =>
    t.test(name, async () => {
      // A mail server that answers 4xx is tried again after a minute: see the long outages.
      const ways = WAY_NAMES.filter((way) => way !== "mail" || statusOf(fault) !== 429);
      const course = { fault, ways, ...times, patienceMs: SLACK_MS };
      check(await withScope((scope) => runCourse(scope, course)), fault);
    }),
  );
  await Promise.all(courses);
});

const LONG: readonly (readonly [name: string, fault: Fault, hours: number])[] = [
  ["refusing connections for 20 h", "refused", 20],
  ["answering 500 for 2 h", { status: 500 }, 2],
  ["answering 429 for 2 h", { status: 429 }, 2],
  ["answering 429 with seconds for 2 h", { status: 429, retryAfter: { as: "seconds", ms: 10 * MINUTE } }, 2],
  ["answering 429 with a date for 20 h", { status: 429, retryAfter: { as: "date", ms: 2 * HOUR } }, 20],
];

test("targets fail for hours, the server is restarted, the targets recover: every page arrives", async (t) => {
  for (const [name, fault, hours] of LONG)
    await t.test(name, async () => {
      const times = { outageMs: hours * HOUR, steps: 20, recoveryStepMs: 2 * SECOND };
      const course = { fault, ways: WAY_NAMES, ...times };
      check(await withScope((scope) => runLongCourse(scope, course)), fault);
    });
});

test("nothing can be stored: pages that wait are sent, and recorded when there is room", () =>
  withScope(sendWithoutRoom));

async function sendWithoutRoom(scope: Scope): Promise<void> {
  const { prism, server, targets } = await start(scope);
  for (const receiver of targets.receivers) await receiver.fail("refused");
  const fired = await fire(server, targets, "full", Date.now);
  const notices = async (): Promise<Notice[]> => (await ask(server)).incidents.flatMap((each) => each.notices ?? []);
  await eventually("each page was tried", async () => {
    const all = await notices();
    return all.length === fired.length && all.every(({ attempts }) => attempts > 0);
  });
  limitFiles(prism, 4096);
  await eventually("the store refuses writes", async () => {
    const event = { type: "room.asked", payload: { text: "x".repeat(10_000) } };
    return server.call("POST", "/events", event).then(
      () => false,
      () => true,
    );
  });
  for (const receiver of targets.receivers) await receiver.recover();
  await eventually(missing("while nothing can be stored", targets, fired), () => isAllThere(targets, fired));
  limitFiles(prism, "unlimited");
  await eventually("all outcomes are stored", async () =>
    (await notices()).every(({ outcome }) => outcome === "delivered"),
  );
  assert.deepEqual(falseClaims(targets, await ask(server), fired), []);
}

test("60 hanging targets and 1000 incidents on a slow channel: pages to others arrive meanwhile", () =>
  withScope(sendBesideLoads));

async function sendBesideLoads(scope: Scope): Promise<void> {
  const { server, targets } = await start(scope);
  const startHanging = await hangingTargets(scope, server);
  const busy = await busyChannel(scope, server);
  const stop = startHanging();
  await busy.start();
  for (let n = 0; n < 10; n++) {
    const fired = await fire(server, targets, `beside${n}`, Date.now);
    await eventually(missing("beside the loads", targets, fired), () => isAllThere(targets, fired));
  }
  assert.ok(busy.ledger.accepted.length < 500, "most of the thousand still wait");
  await stop();
}

const HEALTHY = ["webhook", "channel-http", "own-channel", "own-webhook", "mail"] as const satisfies WayName[];

/** The executable with targets that work. */
async function start(scope: Scope) {
  const targets = await Targets.open(scope, Date.now, HEALTHY);
  const prism = new PrismBinary(scope, { env: environmentOf(targets.settings) });
  await prism.start();
  const server = callerOf(() => prism);
  await prepare(server, targets);
  return { prism, server, targets };
}

/** Writes beyond this size fail in all files of the server (Node.js ignores SIGXFSZ). */
function limitFiles({ pid }: PrismBinary, bytes: number | "unlimited"): void {
  const { status, stderr } = spawnSync("prlimit", ["--pid", String(pid), `--fsize=${bytes}:`], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}

function check({ ways, falseClaims: claims }: CourseResult, fault: Fault): void {
  assert.deepEqual(claims, [], "the server claims no delivery that no target confirms");
  for (const { way, isPerson, lost, firstMs, allowedMs, outcomes, nextWayMs } of ways) {
    if (statusOf(fault) === 410) {
      assert.deepEqual(Object.keys(outcomes), ["failed"], way);
      const isTried = nextWayMs !== null && nextWayMs <= NEXT_WAY_MS + SLACK_MS;
      assert.ok(isTried || !isPerson, `${way}: the next way after ${nextWayMs} ms`);
      continue;
    }
    assert.deepEqual(lost, [], `${way}: every page arrives`);
    assert.deepEqual(Object.keys(outcomes), ["delivered"], way);
    assert.ok(firstMs === null || firstMs <= allowedMs + SLACK_MS, `${way}: the first page after ${firstMs} ms`);
  }
}
