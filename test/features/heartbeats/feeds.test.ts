import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { refuseWrites } from "../../helpers/refuse-writes.ts";

const PATH = "/api/v1/heartbeats";
const MINUTE = 60_000;
const FED_BY = 'alertname="Watchdog"';

/** A server, and Prometheus in front of it. */
class World {
  readonly prism: TestPrism;
  readonly clock: FakeClock;

  private constructor(prism: TestPrism, clock: FakeClock) {
    this.prism = prism;
    this.clock = clock;
  }

  static async start(t: TestContext): Promise<World> {
    const clock = new FakeClock();
    return new World(await startPrism(t, { clock, settings: { "auth.accessExpires": "1d" } }), clock);
  }

  async create(body: object = {}): Promise<Heartbeat> {
    const made = await answered(201, this.prism.post<Heartbeat>(PATH, { name: "Prometheus", fedBy: FED_BY, ...body }));
    return made.body;
  }

  /** What Prometheus posts each minute while an alert fires. */
  async post(labels: Record<string, string> = { alertname: "Watchdog" }, more: object = {}): Promise<void> {
    const endsAt = new Date(this.clock.now() + 4 * MINUTE).toISOString();
    await answered(200, this.prism.post("/alertmanager/api/v2/alerts", [{ labels, endsAt, ...more }]));
    await this.prism.parts.offers.heartbeats.feeds.settled();
  }

  async resolve(labels: Record<string, string>): Promise<void> {
    await this.post(labels, { endsAt: new Date(this.clock.now()).toISOString() });
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.prism.parts.offers.alerts.flush();
    await this.prism.parts.offers.heartbeats.due.check();
    await this.prism.parts.offers.heartbeats.feeds.settled();
  }

  async status({ id }: Heartbeat): Promise<string> {
    return (await this.prism.get<Heartbeat>(`${PATH}/${id}`)).body.status;
  }

  async pings({ id }: Heartbeat): Promise<string[]> {
    const { body } = await this.prism.get<{ data: { kind: string; scheme: string; userAgent: string }[] }>(
      `${PATH}/${id}/pings`,
    );
    return body.data.map(({ kind, scheme, userAgent }) => `${kind} ${scheme} ${userAgent}`).reverse();
  }
}

test("a heartbeat that is fed by Watchdog is up while Prometheus repeats it, and down when it stops", async (t) => {
  const world = await World.start(t);
  const heartbeat = await world.create();
  assert.deepEqual([heartbeat.fedBy, heartbeat.timeoutMs, heartbeat.graceMs], [FED_BY, 5 * MINUTE, MINUTE]);
  assert.equal(heartbeat.status, "new");
  for (let minute = 0; minute < 20; minute++) {
    await world.post();
    await world.pass(MINUTE);
    assert.equal(await world.status(heartbeat), "up");
  }
  assert.deepEqual(await world.pings(heartbeat), Array(20).fill("success alert Watchdog"));
  // The alert times out before the heartbeat is due: only the heartbeat's own time counts.
  await world.pass(4.5 * MINUTE);
  assert.notEqual(await world.status(heartbeat), "down");
  await world.pass(MINUTE);
  assert.equal(await world.status(heartbeat), "down");
  const [down] = world.prism.parts.offers.alerts.list(world.prism.parts.offers.defaultProjectId);
  assert.equal(down?.label("alertname"), "HeartbeatDown");
  assert.match(
    down?.annotations["description"] ?? "",
    /No firing alert that matches alertname="Watchdog" was reported/,
  );
  await world.post();
  assert.equal(await world.status(heartbeat), "up");
});

test("the end of the alert is a failure, unless another one that matches still fires", async (t) => {
  const world = await World.start(t);
  const heartbeat = await world.create();
  await world.post({ alertname: "Watchdog", replica: "a" });
  await world.post({ alertname: "Watchdog", replica: "b" });
  await world.pass(MINUTE);
  await world.resolve({ alertname: "Watchdog", replica: "a" });
  assert.equal(await world.status(heartbeat), "up");
  await world.resolve({ alertname: "Watchdog", replica: "b" });
  assert.equal(await world.status(heartbeat), "down");
  assert.equal((await world.pings(heartbeat)).at(-1), "fail alert Watchdog");
  await world.post({ alertname: "Watchdog", replica: "b" });
  assert.equal(await world.status(heartbeat), "up");
});

test("alerts that do not match, of other projects, and of heartbeats feed nothing", async (t) => {
  const world = await World.start(t);
  const heartbeat = await world.create({ fedBy: 'alertname=~"Watchdog|HeartbeatDown",env!="test"' });
  const other = await answered(201, world.prism.post<{ id: string }>("/api/v1/projects", { name: "Other" }));
  const elsewhere = await world.create({ name: "Elsewhere", projectId: other.body.id });
  await world.post({ alertname: "Watchdogs" });
  await world.post({ alertname: "Watchdog", env: "test" });
  await world.create({ name: "Job", fedBy: null });
  const job = (await world.prism.get<{ data: { name: string; pingUrl: string }[] }>(PATH)).body.data[0];
  assert.equal((await fetch(`${world.prism.url}${new URL(job?.pingUrl ?? "").pathname}/fail`)).status, 200);
  await world.pass(0);
  assert.equal(await world.status(heartbeat), "new");
  await world.post();
  assert.equal(await world.status(heartbeat), "up");
  assert.equal(await world.status(elsewhere), "new");
});

test("reports within 15 seconds are stored as one ping, and a heartbeat that is down takes the next one at once", async (t) => {
  const world = await World.start(t);
  const heartbeat = await world.create();
  for (let report = 0; report < 10; report++) {
    await world.post();
    await world.pass(1000);
  }
  assert.equal((await world.pings(heartbeat)).length, 1);
  await world.resolve({ alertname: "Watchdog" });
  await world.post();
  assert.deepEqual(await world.pings(heartbeat), [
    "success alert Watchdog",
    "fail alert Watchdog",
    "success alert Watchdog",
  ]);
});

test("a paused heartbeat stays paused, and pings by its URL still count", async (t) => {
  const world = await World.start(t);
  const heartbeat = await world.create();
  await world.post();
  assert.equal((await world.prism.post(`${PATH}/${heartbeat.id}/pause`, {})).status, 200);
  await world.pass(MINUTE);
  await world.post();
  assert.equal(await world.status(heartbeat), "paused");
  assert.equal((await world.prism.post(`${PATH}/${heartbeat.id}/resume`, {})).status, 200);
  await world.post();
  assert.equal(await world.status(heartbeat), "up");
});

test("matchers are read again at a start, changed by an update, and forgotten with the heartbeat", async (t) => {
  const world = await World.start(t);
  const heartbeat = await world.create();
  await world.prism.restart();
  await world.post();
  assert.equal(await world.status(heartbeat), "up");
  const changed = await world.prism.patch<Heartbeat>(`${PATH}/${heartbeat.id}`, { fedBy: 'alertname="Other"' });
  assert.equal(changed.body.fedBy, 'alertname="Other"');
  await world.pass(MINUTE);
  await world.post();
  assert.equal((await world.pings(heartbeat)).length, 1);
  await world.post({ alertname: "Other" });
  assert.equal((await world.pings(heartbeat)).length, 2);
  assert.equal((await world.prism.patch(`${PATH}/${heartbeat.id}`, { fedBy: null })).status, 200);
  await world.pass(MINUTE);
  await world.post({ alertname: "Other" });
  assert.equal((await world.pings(heartbeat)).length, 2);
  assert.equal((await world.prism.delete(`${PATH}/${heartbeat.id}`)).status, 204);
});

test("matchers that cannot be read, or that match every alert, are refused", async (t) => {
  const world = await World.start(t);
  for (const fedBy of ["alertname", "{}", 'alertname=~"("', 'alertname!="x"', ""]) {
    const { status, body } = await world.prism.post<{ error?: { code: string } }>(PATH, { name: "x", fedBy });
    assert.deepEqual([status, body.error?.code], [400, "VALIDATION_FAILED"], fedBy);
  }
});

test("without a fed heartbeat repetitions are not listened to", async (t) => {
  const world = await World.start(t);
  const calls: unknown[] = [];
  const { alerts } = world.prism.parts.offers;
  const listen = alerts.whenRepeated.bind(alerts);
  alerts.whenRepeated = (fn) => {
    calls.push(fn);
    listen(fn);
  };
  const { id } = await world.create();
  assert.equal(typeof calls.at(-1), "function");
  assert.equal((await world.prism.delete(`${PATH}/${id}`)).status, 204);
  assert.equal(calls.at(-1), null);
});

test("fedBy is read before the transaction: compiling its patterns holds no writer", async (t) => {
  const world = await World.start(t);
  const { id } = await world.create();
  const accept = refuseWrites(world.prism);
  const refused = { fedBy: 'alertname=~"("' };
  const made = await world.prism.post(PATH, { name: "x", ...refused });
  const changed = await world.prism.patch(`${PATH}/${id}`, refused);
  assert.deepEqual([made.status, changed.status], [400, 400]);
  accept();
});
