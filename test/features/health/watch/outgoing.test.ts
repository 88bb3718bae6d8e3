import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import test, { type TestContext } from "node:test";
import { OutgoingWatch, type OutgoingWatchParts } from "../../../../src/features/health/watch/outgoing.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { listening } from "../../../helpers/listening.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { valuesOf } from "../../../helpers/values.ts";

/** A check of Healthchecks: counts calls, and answers with `status`. */
async function check(t: TestContext) {
  const calls: IncomingMessage[] = [];
  const found = { calls, status: 200, url: "" };
  const server = createServer((request, response) => {
    calls.push(request);
    response.writeHead(found.status).end("OK");
  });
  const port = await listening(t, server);
  found.url = `http://127.0.0.1:${port}/ping/secret-uuid`;
  return found;
}

const SLOW = { "watch.everyMs": "1h", "watch.withinMs": "30s" };

test("watch.url is called by GET while a test event passes, which no list, figure or rule has", async (t) => {
  const target = await check(t);
  const prism = await startPrism(t, { settings: { ...SLOW } });
  const rule = { name: "all", condition: "true", targetUsers: ["me"] };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  assert.equal((await prism.post("/api/v1/events", { type: "a.b", payload: {} })).status, 202);
  const before = await facts();
  const { outgoing } = prism.parts.offers.watch;
  assert.equal(outgoing.isConfigured, false);
  await outgoing.check();
  assert.equal(target.calls.length, 0);

  const watched = await startPrism(t, { settings: { ...SLOW, "watch.url": target.url } });
  await eventually("the first call", () => target.calls.length === 1);
  await eventually("it is noted", () => watched.parts.offers.watch.outgoing.calledAt !== null);
  assert.equal(target.calls[0]?.method, "GET");
  assert.equal(target.calls[0]?.url, "/ping/secret-uuid");
  assert.equal((await watched.post("/api/v1/rules", rule)).status, 201);
  assert.equal((await watched.post("/api/v1/events", { type: "a.b", payload: {} })).status, 202);
  await watched.parts.offers.watch.outgoing.check();
  assert.equal(target.calls.length, 2);
  assert.deepEqual(await facts(watched), before);
  const status = await watched.get<{ watch: { url: { calledAt: string; problem: unknown } } }>("/api/v1/status");
  assert.equal(status.body.watch.url.problem, null);
  assert.ok(!status.text.includes("secret-uuid"));

  /** What people and programs see of events. */
  async function facts(of = prism) {
    const { body: events } = await of.get<{ data: { type: string }[] }>("/api/v1/events");
    const { body: projects } = await of.get<{ data: { name: string }[] }>("/api/v1/projects");
    const { body: stats } = await of.get<{ events: { totals: unknown } }>("/api/v1/stats");
    const { body: inbox } = await of.get<{ data: unknown[] }>("/api/v1/notifications");
    const { text: metrics } = await of.get("/metrics");
    const rows = await of.services.db.read.selectFrom("events").select("type").execute();
    return {
      types: events.data.map(({ type }) => type),
      projects: projects.data.map(({ name }) => name),
      totals: stats.events.totals,
      notifications: inbox.data.length,
      ingested: /prism_ingest_events_total\{result="accepted"\} (\d+)/.exec(metrics)?.[1],
      rows: rows.map(({ type }) => type),
    };
  }
});

test("a server that refuses what is new does not call, says so once in the log, and calls again afterwards", async (t) => {
  const target = await check(t);
  const log = new LogLines();
  const settings = { ...SLOW, "watch.url": target.url };
  const prism = await startPrism(t, { settings, log });
  await eventually("the first call", () => prism.parts.offers.watch.outgoing.calledAt !== null);
  const { outgoing } = prism.parts.offers.watch;
  const { storage } = prism.parts.base;
  const requireSpace = storage.requireSpace.bind(storage);
  storage.requireSpace = () => {
    throw new Error("The disk has too little free space");
  };
  for (let round = 0; round < 3; round++) await outgoing.check();
  assert.equal(target.calls.length, 1);
  assert.match(outgoing.problem?.text ?? "", /too little free space/);
  const lines = () => log.lines.filter(({ message }) => message === "calling watch.url failed");
  assert.equal(lines().length, 1);
  const status = await prism.get<{ watch: { url: { problem: { text: string } } } }>("/api/v1/status");
  assert.match(status.body.watch.url.problem.text, /too little free space/);
  const { body } = await prism.get<{ items: { kind: string; title: string }[] }>("/api/v1/attention");
  assert.deepEqual(
    valuesOf(
      body.items.filter(({ kind }) => kind === "watch"),
      "title",
    ),
    ["watch.url is not called"],
  );
  storage.requireSpace = requireSpace;
  await outgoing.check();
  assert.equal(target.calls.length, 2);
  assert.equal(outgoing.problem, null);
});

test("a service that refuses the call is a problem without the secret of its URL", async (t) => {
  const target = await check(t);
  const log = new LogLines();
  const prism = await startPrism(t, { settings: { ...SLOW, "watch.url": target.url }, log });
  const { outgoing } = prism.parts.offers.watch;
  await eventually("the first call", () => outgoing.calledAt !== null);
  target.status = 404;
  await outgoing.check();
  assert.match(outgoing.problem?.text ?? "", /^127\.0\.0\.1:\d+ answered 404$/);
  assert.ok(!JSON.stringify(log.lines).includes("secret-uuid"));
});

/** Stages that the test ends. */
function staged(t: TestContext, url: string, withinMs: number, parts: Partial<OutgoingWatchParts>) {
  const watch = new OutgoingWatch({
    options: () => ({ url, everyMs: 3_600_000, withinMs }),
    clock: new FakeClock(),
    log: new LogLines(),
    storeTestEvent: async () => undefined,
    handleIncidents: async () => undefined,
    throughLane: (send) => send(new AbortController().signal),
    ...parts,
  });
  t.after(() => watch.stop());
  return watch;
}

for (const { stage, name } of [
  { name: "storeTestEvent", stage: "the store" },
  { name: "handleIncidents", stage: "the incidents" },
  { name: "throughLane", stage: "the lane of pages" },
] as const)
  test(`a test event that hangs in ${stage} prevents the call, and no second one is sent behind it`, async (t) => {
    const target = await check(t);
    let release: () => void = () => undefined;
    const clock = new FakeClock();
    let begun = 0;
    const hang = async (): Promise<void> => {
      begun++;
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    };
    const watch = staged(t, target.url, 50, { clock, [name]: hang });
    await watch.check();
    assert.equal(watch.problem?.text, `the test event did not pass ${stage} within 50 ms`);
    await watch.check();
    assert.equal(watch.problem?.text, "the test event before this one has not passed yet");
    clock.advance(51);
    release();
    await eventually(
      "it has passed too late",
      () => watch.problem?.text === "the test event passed too late" || name === "throughLane",
    );
    assert.deepEqual([begun, target.calls.length], [1, 0]);
  });

test("a test event that passes too late is not called", async (t) => {
  const target = await check(t);
  const clock = new FakeClock();
  const watch = staged(t, target.url, 1000, {
    clock,
    async storeTestEvent() {
      clock.advance(1001);
    },
  });
  await watch.check();
  assert.equal(watch.problem?.text, "the test event passed too late");
  assert.equal(target.calls.length, 0);
});

test("the URL is read again by a reload", async (t) => {
  const target = await check(t);
  const prism = await startPrism(t, { settings: SLOW });
  const { outgoing } = prism.parts.offers.watch;
  const { loaded } = prism.parts.base.configuration;
  const { config } = loaded;
  prism.app.reload({ ...config, watch: { ...config.watch, url: target.url } });
  await eventually("it is called", () => outgoing.calledAt !== null);
  prism.app.reload(config);
  assert.equal(outgoing.isConfigured, false);
});
