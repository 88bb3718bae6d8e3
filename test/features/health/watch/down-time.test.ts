import assert from "node:assert/strict";
import { rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { answered, type PrismOptions, TestPrism } from "../../../helpers/prism.ts";
import { IncidentWorld, MINUTE } from "../../alerts/incidents/support.ts";
import { webhookReceiver } from "../emergency/support.ts";

interface Down {
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

async function start(t: TestContext, options: PrismOptions): Promise<TestPrism> {
  const prism = await TestPrism.start({ ...options, reportsDownTime: true });
  t.after(async () => {
    await prism.stop();
    rmSync(prism.dir, { recursive: true, force: true });
  });
  return prism;
}

async function lastDown(prism: TestPrism): Promise<Down | null> {
  return (await prism.get<{ watch: { lastDown: Down | null } }>("/api/v1/status")).body.watch.lastDown;
}

async function notices(prism: TestPrism): Promise<{ title: string; message: string }[]> {
  const { body } = await prism.get<{ data: { title: string; message: string }[] }>("/api/v1/notifications");
  return body.data.filter(({ title }) => title.startsWith("Prism was down"));
}

test("administrators read how long the server was down, and that nothing was late", async (t) => {
  const clock = new FakeClock(Date.parse("2026-01-31T02:00:00Z"));
  const log = new LogLines();
  const prism = await start(t, { clock, log });
  assert.equal(await lastDown(prism), null);
  await prism.restart(() => clock.advance(65 * MINUTE));
  const [notice, ...others] = await notices(prism);
  assert.equal(others.length, 0);
  assert.equal(notice?.title, "Prism was down for 1 h 5 min");
  assert.equal(
    notice?.message,
    "No server ran from 2026-01-31T02:00:00.000Z to 2026-01-31T03:05:00.000Z, 1 h 5 min. " +
      "It had been stopped. Nothing was late.",
  );
  assert.equal((await lastDown(prism))?.text, notice?.message);
  assert.ok(log.lines.some(({ message }) => message === "the server was down"));
});

test("a restart of a minute, and one of five minutes without late work, are not reported", async (t) => {
  const clock = new FakeClock();
  const prism = await start(t, { clock });
  for (const ms of [MINUTE, 5 * MINUTE]) {
    await prism.restart(() => clock.advance(ms));
    assert.deepEqual([await lastDown(prism), await notices(prism)], [null, []]);
  }
});

test("two minutes with late work are reported, with what was late", async (t) => {
  const clock = new FakeClock();
  const prism = await start(t, { clock });
  const action = { type: "event", event: "tea.ready" };
  for (const delayMs of [MINUTE, 90_000, 60 * MINUTE])
    assert.equal((await prism.post("/api/v1/time/trigger", { label: "tea", delayMs, action })).status, 201);
  await prism.restart(() => clock.advance(2 * MINUTE));
  const [notice] = await notices(prism);
  assert.match(notice?.message ?? "", /Late, and done now: 2 timers\.$/);
});

test("a server that was killed is reported as that, by the last time that it was alive", async (t) => {
  const clock = new FakeClock();
  const prism = await start(t, { clock });
  await prism.restart(() => {
    // As a kill leaves it.
    writeFileSync(join(prism.dir, "alive"), "running\n");
    const at = clock.now() / 1000;
    utimesSync(join(prism.dir, "alive"), at, at);
    clock.advance(10 * MINUTE);
  });
  const [notice] = await notices(prism);
  assert.match(notice?.message ?? "", /It had crashed, was killed, or the machine lost its power\./);
  assert.equal(notice?.title, "Prism was down for 10 min");
});

test("a clock that was set back, and a file that is gone, report nothing", async (t) => {
  const clock = new FakeClock();
  const prism = await start(t, { clock });
  await prism.restart(() => clock.set(-60 * MINUTE));
  assert.equal(await lastDown(prism), null);
  await prism.restart(() => {
    rmSync(join(prism.dir, "alive"));
    clock.advance(60 * MINUTE);
  });
  assert.equal(await lastDown(prism), null);
});

for (const { name, minutes, calls } of [
  { name: "longer than afterMs", minutes: 6, calls: 1 },
  { name: "shorter than afterMs", minutes: 4, calls: 0 },
])
  test(`pages that were due while the server was down, ${name}: ${calls} calls of emergency`, async (t) => {
    const hook = await webhookReceiver(t);
    const clock = new FakeClock();
    const prism = await start(t, { clock, settings: { "emergency.webhook": hook.url } });
    const world = IncidentWorld.prototype.of.call(null, prism, clock);
    const ann = await world.member("ann");
    const steps = [
      { type: "wait", ms: 2 * MINUTE },
      { type: "notify", users: [ann.id] },
    ];
    const path = `/api/v1/policies/${world.projectId}`;
    const { version } = (await prism.get<{ version: number }>(path)).body;
    await answered(200, prism.put(path, { steps }, { headers: { "If-Match": `"${version}"` } }));
    await world.fire("A");
    await prism.restart(() => clock.advance(minutes * MINUTE));
    await prism.parts.base.emergency.check();
    // That the incident has reached no one is a reason of its own.
    const ofDown = hook.calls.filter(({ reason }) => reason === "server-was-down");
    assert.equal(ofDown.length, calls);
    const [notice] = await notices(prism);
    assert.match(notice?.message ?? "", /1 incident with due pages \(1 of high urgency\)/);
    for (const { what } of ofDown) assert.match(what, /1 incident with due pages/);
  });
